import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { loadEngineConfig, loadServerConfig } from '../../gateway/config.ts';
import type { GatewayError } from '../../gateway/errors.ts';

function refusal(environment: Record<string, string>): GatewayError {
  try {
    loadServerConfig(environment);
  } catch (error) {
    return error as GatewayError;
  }
  throw new Error('the configuration was taken');
}

const DEFAULTS = {
  logLevel: 'info',
  host: '127.0.0.1',
  port: 8080,
  dataDir: resolve('data'),
  modelLocations: expect.objectContaining({ cacheDir: expect.any(String) }),
  clips: { maxUploadBytes: 2_147_483_648, maxQueued: 8, maxKept: 16, lifetimeMs: 3_600_000 },
};

describe('server configuration', () => {
  test('has a default for everything', () => {
    expect(loadServerConfig({})).toEqual(DEFAULTS);
  });

  test('counts an empty value as unset', () => {
    const empty = { HOST: '', PORT: '', DATA_DIR: '', LOG_LEVEL: '', FACEBLUR_MODELS_DIR: '', MAX_UPLOAD_BYTES: '' };
    expect(loadServerConfig(empty)).toEqual(DEFAULTS);
  });

  test('is documented with these very defaults in .env.example', async () => {
    const documented = parseEnv(await readFile('.env.example', 'utf8'));
    expect(loadServerConfig(documented)).toEqual(DEFAULTS);
    expect(Object.keys(documented)).toHaveLength(9);
  });

  test('is frozen', () => {
    const config = loadServerConfig({});
    expect(Object.isFrozen(config) && Object.isFrozen(config.clips)).toBe(true);
  });

  test.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost'])('takes HOST %s', (HOST) => {
    expect(loadServerConfig({ HOST }).host).toBe(HOST);
  });

  test.each(['0.0.0.0', '::', '192.168.1.2', 'example.com', '127.0.0.1.example.com', '127.1'])(
    'refuses HOST %s',
    (HOST) => {
      expect(refusal({ HOST })).toMatchObject({
        code: 'bad-config',
        message: expect.stringMatching(/^HOST .*loopback/),
      });
    },
  );

  test.each([
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', '0x50'],
    ['PORT', ' '],
    ['LOG_LEVEL', 'loud'],
    ['MAX_UPLOAD_BYTES', '2GiB'],
    ['MAX_UPLOAD_BYTES', '0'],
    ['MAX_QUEUED_CLIPS', '0'],
    ['MAX_KEPT_CLIPS', 'many'],
    ['CLIP_LIFETIME_SECONDS', '86401'],
  ])('refuses %s=%s by name, in one line without the value', (name, value) => {
    const { code, message } = refusal({ [name]: value });
    expect(code).toBe('bad-config');
    expect(message).toMatch(new RegExp(`^${name} must be [^\n]+$`));
    if (value.trim()) expect(message).not.toContain(value);
  });

  test('names every malformed variable', () => {
    expect(refusal({ PORT: 'x', LOG_LEVEL: 'y' }).message).toMatch(/LOG_LEVEL .*; PORT /);
  });
});

test('FACEBLUR_MODELS_DIR is one of the places where models are looked for', () => {
  const { modelLocations } = loadEngineConfig({ FACEBLUR_MODELS_DIR: 'weights' });
  expect(modelLocations.modelsDir).toBe(resolve('weights'));
});

test('the engine’s configuration does not look at the server’s variables', () => {
  expect(loadEngineConfig({ PORT: 'x', HOST: '0.0.0.0' })).toMatchObject({ logLevel: 'info' });
});
