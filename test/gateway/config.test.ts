import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { inspect, parseEnv } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
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
  rtmpPort: 1935,
  rtc: {
    port: 40_000,
    workers: 1,
    announcedAddress: null,
    workerBinary: { cacheDir: expect.any(String), ownPath: null },
  },
  corsOrigins: [],
  publicUrl: null,
  allowPrivateSources: false,
  rawPreview: false,
  encryptionKey: null,
  databaseUrl: null,
  redisUrl: null,
  jobs: { concurrency: 1, perOwner: 4, webhook: null },
  s3: null,
  hlsTimeSeconds: 4,
  ffmpegPath: null,
  maxStreams: 1000,
  stillsKeptMs: 3_600_000,
  dataDir: resolve('data'),
  modelLocations: expect.objectContaining({ cacheDir: expect.any(String) }),
  clips: { maxUploadBytes: 2_147_483_648, maxQueued: 8, maxKept: 16, lifetimeMs: 3_600_000 },
  videos: { maxBytes: 10_737_418_240, maxSeconds: 14_400 },
  retentionMs: 604_800_000,
};

describe('server configuration', () => {
  test('has a default for everything', () => {
    expect(loadServerConfig({})).toEqual(DEFAULTS);
  });

  test('counts an empty value as unset', () => {
    const names = [...Object.keys(parseEnv(readFileSync('.env.example', 'utf8')))];
    const empty = Object.fromEntries(names.map((name) => [name, '']));
    expect(loadServerConfig(empty)).toEqual(DEFAULTS);
  });

  test('is documented with these very defaults in .env.example', async () => {
    const documented = parseEnv(await readFile('.env.example', 'utf8'));
    expect(loadServerConfig(documented)).toEqual(DEFAULTS);
    expect(Object.keys(documented)).toHaveLength(39);
  });

  test('is frozen', () => {
    const config = loadServerConfig({});
    expect([config, config.clips, config.rtc, config.corsOrigins].every(Object.isFrozen)).toBe(true);
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
    ['RTMP_PORT', '65536'],
    ['RTMP_PORT', 'rtmp'],
    ['RTC_PORT', '-4'],
    ['RTC_WORKERS', '0'],
    ['RTC_WORKERS', '65'],
    ['RTC_WORKERS', '1.5'],
    ['RTC_ANNOUNCED_ADDRESS', 'http://203.0.113.7'],
    ['RTC_ANNOUNCED_ADDRESS', '203.0.113.7:40000'],
    ['RTC_ANNOUNCED_ADDRESS', '-host'],
    ['CORS_ORIGINS', 'example.org'],
    ['CORS_ORIGINS', 'https://example.com/page'],
    ['CORS_ORIGINS', 'https://example.com,*'],
    ['CORS_ORIGINS', 'https://example.com,,'],
    ['CORS_ORIGINS', 'null'],
    ['PUBLIC_URL', 'live.example.com'],
    ['PUBLIC_URL', 'ftp://live.example.com'],
    ['PUBLIC_URL', 'https://user:secret@live.example.com'],
    ['PUBLIC_URL', 'https://live.example.com/?a=b'],
    ['ALLOW_PRIVATE_SOURCES', 'yes'],
    ['ALLOW_PRIVATE_SOURCES', '1'],
    ['RAW_PREVIEW', 'TRUE'],
    ['DATABASE_URL', 'mysql://user:secret@host/database'],
    ['DATABASE_URL', 'secret'],
    ['REDIS_URL', 'http://host'],
    ['JOB_CONCURRENCY', '65'],
    ['JOBS_PER_OWNER', '0'],
    ['JOB_WEBHOOK_URL', 'ftp://example.com'],
    ['JOB_WEBHOOK_SECRET', 'short'],
    ['S3_BUCKET', 'My_Bucket'],
    ['S3_BUCKET', '../bucket'],
    ['S3_ENDPOINT', 's3.example.com'],
    ['S3_ENDPOINT', 'https://user:secret@s3.example.com'],
    ['S3_REGION', 'EU West'],
    ['S3_FORCE_PATH_STYLE', 'yes'],
    ['S3_SECRET_ACCESS_KEY', 'hunter2'],
    ['HLS_TIME_SECONDS', '0'],
    ['HLS_TIME_SECONDS', '31'],
    ['MAX_STREAMS', '0'],
    ['STILLS_CACHE_SECONDS', '-1'],
    ['FACEBLUR_ENCRYPTION_KEY', 'hunter2'],
    ['FACEBLUR_ENCRYPTION_KEY', Buffer.alloc(31).toString('base64')],
  ])('refuses %s=%s by name, in one line without the value', (name, value) => {
    const { code, message } = refusal({ [name]: value });
    expect(code).toBe('bad-config');
    expect(message).toMatch(new RegExp(`^${name} must be [^\n]+$`));
    if (value.trim()) expect(message).not.toContain(value);
  });

  test('holds the encryption key without showing it', () => {
    const key = Buffer.alloc(32, 7);
    const config = loadServerConfig({ FACEBLUR_ENCRYPTION_KEY: key.toString('base64') });
    expect(config.encryptionKey?.export()).toEqual(key);
    for (const shown of [inspect(config, { depth: 9 }), JSON.stringify(config)]) {
      for (const encoding of ['base64', 'hex'] as const) expect(shown).not.toContain(key.toString(encoding));
    }
  });

  test('takes secrets out of the environment, which child processes are given', () => {
    vi.stubEnv('FACEBLUR_ENCRYPTION_KEY', Buffer.alloc(32, 7).toString('base64'));
    vi.stubEnv('DATABASE_URL', 'postgres://user:secret@host/database');
    vi.stubEnv('S3_BUCKET', 'videos');
    vi.stubEnv('S3_ACCESS_KEY_ID', 'id');
    vi.stubEnv('S3_SECRET_ACCESS_KEY', 'secret');
    const config = loadServerConfig();
    expect([config.encryptionKey?.export()[0], config.databaseUrl]).toEqual([
      7,
      'postgres://user:secret@host/database',
    ]);
    expect(config.s3?.credentials?.secretAccessKey).toBe('secret');
    const { FACEBLUR_ENCRYPTION_KEY, DATABASE_URL, S3_SECRET_ACCESS_KEY } = process.env;
    expect([FACEBLUR_ENCRYPTION_KEY, DATABASE_URL, S3_SECRET_ACCESS_KEY]).toEqual([undefined, undefined, undefined]);
    vi.unstubAllEnvs();
  });

  test('objects go into a bucket where one is named, and nothing of S3 has an effect without', () => {
    expect(loadServerConfig({ S3_ENDPOINT: 'http://127.0.0.1:9000', S3_REGION: 'auto' }).s3).toBeNull();
    const keys = { S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'secret' };
    const place = { S3_ENDPOINT: 'http://127.0.0.1:9000', S3_REGION: 'auto', S3_FORCE_PATH_STYLE: 'true' };
    expect(loadServerConfig({ S3_BUCKET: 'videos', ...keys, ...place }).s3).toEqual({
      ...{ bucket: 'videos', endpoint: 'http://127.0.0.1:9000', region: 'auto', forcePathStyle: true },
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    });
    const { s3 } = loadServerConfig({ S3_BUCKET: 'videos' });
    expect(s3).toMatchObject({ endpoint: null, region: 'us-east-1', credentials: null, forcePathStyle: false });
    expect(Object.isFrozen(s3)).toBe(true);
  });

  test('names every malformed variable', () => {
    expect(refusal({ PORT: 'x', LOG_LEVEL: 'y' }).message).toMatch(/LOG_LEVEL .*; PORT /);
  });
});

describe('the live variables', () => {
  test('0 takes any free port', () => {
    const config = loadServerConfig({ PORT: '0', RTMP_PORT: '0', RTC_PORT: '0' });
    expect([config.port, config.rtmpPort, config.rtc.port]).toEqual([0, 0, 0]);
  });

  test('every worker finds a port', () => {
    expect(loadServerConfig({ RTC_PORT: '65534', RTC_WORKERS: '2' }).rtc).toMatchObject({ port: 65_534, workers: 2 });
    const { message } = refusal({ RTC_PORT: '65534', RTC_WORKERS: '3' });
    expect(message).toMatch(/^RTC_PORT must leave room/);
  });

  test.each(['203.0.113.7', '2001:db8::1', 'live.example.com', 'localhost'])('peers are told %s', (announced) => {
    expect(loadServerConfig({ RTC_ANNOUNCED_ADDRESS: announced }).rtc.announcedAddress).toBe(announced);
  });

  test('CORS_ORIGINS is all, or a list of origins as browsers write them', () => {
    expect(loadServerConfig({ CORS_ORIGINS: '*' }).corsOrigins).toBe('*');
    expect(loadServerConfig({ CORS_ORIGINS: 'https://Example.com, http://localhost:3000/' }).corsOrigins).toEqual([
      'https://example.com',
      'http://localhost:3000',
    ]);
  });

  test('PUBLIC_URL loses its closing slash and keeps its path', () => {
    expect(loadServerConfig({ PUBLIC_URL: 'https://live.example.com/' }).publicUrl).toBe('https://live.example.com');
    expect(loadServerConfig({ PUBLIC_URL: 'https://example.com:8443/live/' }).publicUrl).toBe(
      'https://example.com:8443/live',
    );
  });

  test.each(['postgres://u:p@host/db', 'postgresql://host/db'])('the database is at %s', (url) => {
    expect(loadServerConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  test('true and false are the only flags', () => {
    const on = loadServerConfig({ ALLOW_PRIVATE_SOURCES: 'true', RAW_PREVIEW: 'true' });
    expect([on.allowPrivateSources, on.rawPreview]).toEqual([true, true]);
    const off = loadServerConfig({ ALLOW_PRIVATE_SOURCES: 'false', RAW_PREVIEW: 'false' });
    expect([off.allowPrivateSources, off.rawPreview]).toEqual([false, false]);
  });

  test('the worker’s path is made absolute', () => {
    expect(loadServerConfig({ MEDIASOUP_WORKER_BIN: 'bin/worker' }).rtc.workerBinary.ownPath).toBe(
      resolve('bin/worker'),
    );
  });
});

test('FACEBLUR_MODELS_DIR is one of the places where models are looked for', () => {
  const { modelLocations } = loadEngineConfig({ FACEBLUR_MODELS_DIR: 'weights' });
  expect(modelLocations.modelsDir).toBe(resolve('weights'));
});

test('the engine’s configuration does not look at the server’s variables', () => {
  expect(loadEngineConfig({ PORT: 'x', HOST: '0.0.0.0' })).toMatchObject({ logLevel: 'info' });
});
