import type { KeyObject } from 'node:crypto';
import type { Logger } from 'pino';
import { GatewayError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import { KEY_FILE, makeKeyFile, readKeyFile } from './key-file.ts';
import { SealError, Vault } from './vault.ts';

/** A value that is sealed once and opened at each start: with another key nothing else could be opened either. */
export interface SealCheckStore {
  read(): Promise<Uint8Array | null>;
  /** Keeps what is there already, of this process or another. */
  write(sealed: Uint8Array): Promise<void>;
}

export interface OpenVaultOptions {
  /** FACEBLUR_ENCRYPTION_KEY; null where it is unset. */
  readonly key: KeyObject | null;
  readonly dataDir: string;
  /** The address that the server listens on. */
  readonly bind: string;
  readonly check: SealCheckStore;
  readonly log: Logger;
}

const CHECK_CONTEXT = 'check';

/**
 * The vault of what is kept: with FACEBLUR_ENCRYPTION_KEY, else with the key in DATA_DIR, which is made at the first
 * start on a loopback bind.
 * @throws GatewayError 'bad-config' where there is no key, or one that what was sealed can't be opened with
 */
export async function openVault(options: OpenVaultOptions): Promise<Vault> {
  const { check } = options;
  const before = await check.read();
  const key = options.key ?? (await readKeyFile(options.dataDir)) ?? (await makeKey(options, before !== null));
  const vault = new Vault(key);
  if (!before) await check.write(vault.seal(new Uint8Array(), CHECK_CONTEXT));
  // Of processes that start at once with different keys, only those go on that have the first one's.
  const sealed = before ?? (await check.read());
  try {
    vault.open(sealed ?? new Uint8Array(), CHECK_CONTEXT);
  } catch (error) {
    if (!(error instanceof SealError)) throw error;
    throw new GatewayError('bad-config', otherKey(options), { cause: error });
  }
  return vault;
}

async function makeKey({ dataDir, bind, log }: OpenVaultOptions, wasSealed: boolean): Promise<KeyObject> {
  if (wasSealed) {
    const where = `put ${KEY_FILE} back into DATA_DIR, or set FACEBLUR_ENCRYPTION_KEY to what it held`;
    throw new GatewayError('bad-config', `FACEBLUR_ENCRYPTION_KEY: the key of the identities kept is gone; ${where}`);
  }
  if (!isLoopback(bind)) {
    const how = 'set it to 32 bytes in base64, for example from openssl rand -base64 32';
    throw new GatewayError('bad-config', `FACEBLUR_ENCRYPTION_KEY is needed where HOST is no loopback address; ${how}`);
  }
  const key = await makeKeyFile(dataDir);
  log.info({ file: KEY_FILE }, 'encryption key made in DATA_DIR; keep it with your backups, apart from the database');
  return key;
}

function otherKey({ key }: OpenVaultOptions): string {
  const which = key ? 'FACEBLUR_ENCRYPTION_KEY' : `DATA_DIR: ${KEY_FILE}`;
  return `${which} is not the key that the identities kept were sealed with; give that key, or start with a new database`;
}
