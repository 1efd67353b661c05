import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError } from '../errors.ts';
import { KEY_BYTES } from './vault.ts';

/** In DATA_DIR; holds a line as FACEBLUR_ENCRYPTION_KEY would. */
export const KEY_FILE = 'encryption.key';

/** 32 bytes, as RFC 4648 §4 writes them: no other text means the same bytes. */
const BASE64_OF_32 = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** The key that 32 bytes of base64 are; null where the text is not such. */
export function parseKey(text: string): KeyObject | null {
  return BASE64_OF_32.test(text) ? createSecretKey(Buffer.from(text, 'base64')) : null;
}

/**
 * The key kept in a folder. One that others could read is closed to them.
 * @returns null where there is none
 * @throws GatewayError 'bad-config' naming the file
 */
export async function readKeyFile(dataDir: string): Promise<KeyObject | null> {
  const file = join(dataDir, KEY_FILE);
  try {
    const text = await readFile(file, 'utf8');
    await chmod(file, 0o600);
    const key = parseKey(text.trim());
    if (key) return key;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new GatewayError('bad-config', `DATA_DIR: cannot read ${file} (${code})`, { cause: error });
  }
  throw new GatewayError('bad-config', `DATA_DIR: ${file} does not hold a key; restore it as it was made`);
}

/**
 * Makes a key in a folder, for its owner alone: whole or not at all, and where processes do so at once, one for all.
 * @throws GatewayError 'bad-config'
 */
export async function makeKeyFile(dataDir: string): Promise<KeyObject> {
  const file = join(dataDir, KEY_FILE);
  const unfinished = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dataDir, { recursive: true });
    const handle = await open(unfinished, 'wx', 0o600);
    try {
      await handle.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    try {
      // Unlike a rename, a link takes no file's place.
      await link(unfinished, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(unfinished, { force: true });
    }
    await syncFolder(dataDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new GatewayError('bad-config', `DATA_DIR: cannot make ${file} (${code})`, { cause: error });
  }
  const key = await readKeyFile(dataDir);
  if (!key) throw new GatewayError('bad-config', `DATA_DIR: ${file} went away while it was made`);
  return key;
}

/** What is sealed from now on is lost with the file's name. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
