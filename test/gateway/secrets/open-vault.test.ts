import { createSecretKey, randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GatewayError } from '../../../gateway/errors.ts';
import { makeKeyFile, parseKey } from '../../../gateway/secrets/key-file.ts';
import { openVault, type SealCheckStore } from '../../../gateway/secrets/open-vault.ts';

let dataDir: string;
let check: SealCheckStore;
let logged: string[];
const file = () => join(dataDir, 'encryption.key');

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'faceblur-vault-'));
  logged = [];
  let kept: Uint8Array | null = null;
  check = {
    read: async () => kept,
    write: async (sealed) => {
      kept ??= sealed;
    },
  };
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const open = (options: Partial<Parameters<typeof openVault>[0]> = {}) => {
  const log = pino({ level: 'trace' }, { write: (line) => logged.push(line) });
  return openVault({ key: null, dataDir, bind: '127.0.0.1', check, log, ...options });
};
const refusal = async (options: Partial<Parameters<typeof openVault>[0]> = {}): Promise<string> => {
  const error = (await open(options).catch((error) => error)) as GatewayError;
  expect(error.code).toBe('bad-config');
  expect(error.message).not.toContain('\n');
  return error.message;
};

describe('the key in DATA_DIR', () => {
  test('is made at the first start, for its owner alone, and is the key from then on', async () => {
    const sealed = (await open()).seal(Buffer.from('x'), 'a');
    expect(readdirSync(dataDir)).toEqual(['encryption.key']);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(Buffer.from((await open()).open(sealed, 'a')).toString()).toBe('x');
    const text = readFileSync(file(), 'utf8');
    expect(parseKey(text.trim())).not.toBeNull();
    expect(logged.join()).not.toContain(text.trim());
  });

  test('is one for all that start at once', async () => {
    const made = await Promise.all(Array.from({ length: 16 }, () => makeKeyFile(dataDir)));
    expect(new Set(made.map((key) => key.export().toString('hex'))).size).toBe(1);
    expect(readdirSync(dataDir)).toEqual(['encryption.key']);
  });

  test('that others could read is closed to them', async () => {
    await open();
    chmodSync(file(), 0o644);
    await open();
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  test('is not made where the server can be reached from elsewhere: the variable is asked for', async () => {
    const message = await refusal({ bind: '0.0.0.0' });
    expect(message).toMatch(/^FACEBLUR_ENCRYPTION_KEY .*openssl/);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('that is gone is asked for by name, and no other is made', async () => {
    await open();
    unlinkSync(file());
    expect(await refusal()).toMatch(/^FACEBLUR_ENCRYPTION_KEY: .*encryption\.key/);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test.each(['', 'not a key', randomBytes(31).toString('base64'), '\0'.repeat(45)])(
    'that holds %j is refused',
    async (text) => {
      writeFileSync(file(), text);
      const message = await refusal();
      expect(message).toMatch(/^DATA_DIR: .*encryption\.key/);
      if (text !== '') expect(message).not.toContain(text);
      expect(readFileSync(file(), 'utf8')).toBe(text);
    },
  );

  test('that can not be made is told by name', async () => {
    const inTheWay = join(dataDir, 'file');
    writeFileSync(inTheWay, '');
    expect(await refusal({ dataDir: inTheWay })).toMatch(/^DATA_DIR: /);
  });
});

describe('FACEBLUR_ENCRYPTION_KEY', () => {
  const key = createSecretKey(randomBytes(32));

  test('is used where it is set, on any bind, and no file is made', async () => {
    const sealed = (await open({ key, bind: '0.0.0.0' })).seal(Buffer.from('x'), 'a');
    expect(Buffer.from((await open({ key })).open(sealed, 'a')).toString()).toBe('x');
    expect(readdirSync(dataDir)).toEqual([]);
  });

  test('that is not the one things were sealed with is refused by name', async () => {
    await open({ key });
    expect(await refusal({ key: createSecretKey(randomBytes(32)) })).toMatch(/^FACEBLUR_ENCRYPTION_KEY is not the key/);
    expect(await refusal()).toMatch(/^FACEBLUR_ENCRYPTION_KEY: the key .* is gone/);
    await open({ key });
  });

  test('of processes that start at once with different keys, one wins and the others are refused', async () => {
    const tries = Array.from({ length: 8 }, () => open({ key: createSecretKey(randomBytes(32)) }));
    const results = await Promise.allSettled(tries);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

test.each([
  ['32 bytes', randomBytes(32).toString('base64'), true],
  ['31 bytes', randomBytes(31).toString('base64'), false],
  ['33 bytes', randomBytes(33).toString('base64'), false],
  ['hex', randomBytes(32).toString('hex'), false],
  ['base64url of bytes that show it', Buffer.alloc(32, 0xff).toString('base64url'), false],
  ['no padding', Buffer.alloc(32).toString('base64').slice(0, -1), false],
  ['bits beyond the last byte', `${Buffer.alloc(32).toString('base64').slice(0, 42)}B=`, false],
  ['spaces', ` ${Buffer.alloc(32).toString('base64')}`, false],
])('a key written as %s', (_how, text, isKey) => {
  expect(parseKey(text) !== null).toBe(isKey);
});
