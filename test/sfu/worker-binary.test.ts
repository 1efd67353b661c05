import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorker } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SfuError } from '../../sfu/errors.ts';
import { workerStarts, workerWorks } from '../../sfu/worker-binary/check.ts';
import { BUILD_PACKAGES } from '../../sfu/worker-binary/compile.ts';
import { installCommand, missingPackages } from '../../sfu/worker-binary/debian-packages.ts';
import { type EnsureWorkerOptions, ensureWorkerBinary } from '../../sfu/worker-binary/ensure.ts';
import {
  cachedWorkerPath,
  defaultWorkerBinaryLocation,
  workerBinaryPath,
  workerPackage,
} from '../../sfu/worker-binary/locate.ts';
import { fetchPrebuilt } from '../../sfu/worker-binary/prebuilt.ts';
import { withSetUpLock } from '../../sfu/worker-binary/set-up-lock.ts';

const realWorker = workerBinaryPath(defaultWorkerBinaryLocation(process.env));
const cannotBuild = missingPackages(BUILD_PACKAGES, process.env.PATH ?? '').length > 0;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faceblur-worker-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function program(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** An archive like those that mediasoup publishes: the program alone. */
function archiveOf(path: string, name = 'mediasoup-worker'): Uint8Array<ArrayBuffer> {
  const packed = mkdtempSync(join(folder, 'packed-'));
  copyFileSync(path, join(packed, name));
  const tar = spawnSync('tar', ['-czf', '-', '-C', packed, name], { maxBuffer: 2 ** 28 });
  expect(tar.status).toBe(0);
  return new Uint8Array(tar.stdout);
}

function ensureOptions(fetcher: typeof fetch, path = process.env.PATH ?? ''): EnsureWorkerOptions & { said: string[] } {
  const said: string[] = [];
  const location = { cacheDir: join(folder, 'cache'), ownPath: null };
  return { location, package: workerPackage(), path, isRoot: false, fetcher, said, say: (line) => said.push(line) };
}

const redirectTo = (location: string) => new Response(null, { status: 302, headers: { location } });
const offline: typeof fetch = () => Promise.reject(new TypeError('fetch failed'));

describe('the worker that set-up made ready', () => {
  test('starts, listens on a loopback port for UDP and TCP, routes, and ends when it is closed', async () => {
    const worker = await createWorker({ workerBin: realWorker });
    const server = await worker.createWebRtcServer({
      listenInfos: [
        { protocol: 'udp', ip: '127.0.0.1' },
        { protocol: 'tcp', ip: '127.0.0.1' },
      ],
    });
    const { udpSockets, tcpServers } = await server.dump();
    expect(udpSockets).toEqual([{ ip: '127.0.0.1', port: expect.any(Number) }]);
    await new Promise<void>((resolve, reject) => {
      const socket = connect(tcpServers[0]!.port, '127.0.0.1', () => socket.end(resolve)).on('error', reject);
    });

    const router = await worker.createRouter({
      mediaCodecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2 }],
    });
    const webRtc = await router.createWebRtcTransport({ webRtcServer: server });
    expect(webRtc.iceCandidates.map(({ protocol }) => protocol).sort()).toEqual(['tcp', 'udp']);
    const direct = await router.createDirectTransport();
    const producer = await direct.produce({
      kind: 'audio',
      rtpParameters: {
        codecs: [{ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 100 }],
        encodings: [{ ssrc: 1111 }],
      },
    });
    const consumer = await direct.consume({ producerId: producer.id, rtpCapabilities: router.rtpCapabilities });
    // RFC 3550 §5.1: version 2, payload type 100, sequence number 1, timestamp 2, SSRC 1111; then four bytes of payload.
    const packet = Buffer.from('8064000100000002000004570badcafe', 'hex');
    const received = new Promise<Buffer>((resolve) => consumer.once('rtp', resolve));
    producer.send(packet);
    expect((await received).subarray(-4).toString('hex')).toBe('0badcafe');

    const ended = new Promise((resolve) => worker.once('subprocessclose', resolve as () => void));
    worker.close();
    await ended;
    expect(() => process.kill(worker.pid, 0)).toThrow('ESRCH');
  });

  test('is found where the environment puts the cache, for this version and machine', () => {
    const name = `${workerPackage().version}-${process.platform}-${process.arch}`;
    const byHome = defaultWorkerBinaryLocation({ HOME: '/home/u' });
    expect(cachedWorkerPath(byHome)).toBe(`/home/u/.cache/faceblur/mediasoup-worker/${name}/mediasoup-worker`);
    const byXdg = defaultWorkerBinaryLocation({ HOME: '/home/u', XDG_CACHE_HOME: '/x', MEDIASOUP_WORKER_BIN: '' });
    expect(byXdg).toEqual({ cacheDir: `/x/faceblur/mediasoup-worker/${name}`, ownPath: null });
    expect(workerBinaryPath(defaultWorkerBinaryLocation({ MEDIASOUP_WORKER_BIN: realWorker }))).toBe(realWorker);
  });

  test('is an error that says what to do when it is not there', () => {
    const missing = (ownPath: string | null) => () => workerBinaryPath({ cacheDir: folder, ownPath });
    expect(missing(null)).toThrow(SfuError);
    expect(missing(null)).toThrow(/npm run setup/);
    expect(missing(folder)).toThrow(/MEDIASOUP_WORKER_BIN/);
  });
});

describe('the check', () => {
  test('takes a worker, and neither another program nor none', async () => {
    expect(await workerWorks(realWorker)).toBe(true);
    expect(workerStarts(program('other', 'exit 0'))).toBe(false);
    expect(workerStarts(join(folder, 'none'))).toBe(false);
  });

  test('sees through a program that only ends as a worker does', async () => {
    const pretender = program('pretender', 'exit 41');
    expect(workerStarts(pretender)).toBe(true);
    expect(await workerWorks(pretender)).toBe(false);
  });
});

describe('the prebuilt worker', () => {
  const wanted = workerPackage();

  test('is asked for by version and machine, over HTTPS through redirects', async () => {
    const asked: string[] = [];
    const archive = archiveOf(program('tool', 'echo hello'));
    const bytes = await fetchPrebuilt(wanted, async (url) => {
      asked.push(String(url));
      if (asked.length > 1) return new Response(archive);
      return redirectTo('https://objects.example/a.tgz');
    });
    expect(Buffer.from(bytes!).toString()).toBe('#!/bin/sh\necho hello\n');
    const { version, prebuiltName } = wanted;
    expect(asked[0]).toBe(`https://github.com/versatica/mediasoup/releases/download/${version}/${prebuiltName}`);
    expect(prebuiltName).toMatch(/^mediasoup-worker-[\d.]+-linux-(x64|arm64)-kernel\d\.tgz$/);
  });

  test.each<[string, typeof fetch]>([
    ['there is no network', offline],
    ['there is none for this machine', async () => new Response('no', { status: 404 })],
    ['it leads away from HTTPS', async () => redirectTo('http://127.0.0.1/a.tgz')],
    ['it leads round in circles', async (url) => redirectTo(String(url))],
    ['it is no archive', async () => new Response('hello')],
    [
      'it has no end',
      async () => new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(2 ** 22)) })),
    ],
  ])('is done without when %s', async (_, fetcher) => {
    expect(await fetchPrebuilt(wanted, fetcher)).toBeNull();
  });

  test('is done without when the archive holds something else', async () => {
    const archive = archiveOf(program('tool', 'exit 41'), 'other');
    expect(await fetchPrebuilt(wanted, async () => new Response(archive))).toBeNull();
  });
});

describe('set-up', () => {
  test('puts a prebuilt worker in place, once for two set-ups at a time, and then finds it', async () => {
    const archive = archiveOf(realWorker);
    let fetched = 0;
    const options = ensureOptions(async () => {
      fetched++;
      return new Response(archive);
    });
    await Promise.all([ensureWorkerBinary(options), ensureWorkerBinary(options)]);
    expect(fetched).toBe(1);
    expect(options.said).toContain('another set-up is making the media server; waiting for it');
    expect(await workerWorks(workerBinaryPath(options.location))).toBe(true);
    expect(readdirSync(options.location.cacheDir).sort()).toEqual(['mediasoup-worker', 'set-up.lock']);

    const silent = ensureOptions(offline);
    await ensureWorkerBinary(silent);
    expect(silent.said).toEqual([]);
  });

  test('replaces a worker that no longer starts', async () => {
    const archive = archiveOf(realWorker);
    const options = ensureOptions(async () => new Response(archive));
    mkdirSync(options.location.cacheDir);
    writeFileSync(cachedWorkerPath(options.location), 'of another machine', { mode: 0o755 });
    await ensureWorkerBinary(options);
    expect(workerStarts(cachedWorkerPath(options.location))).toBe(true);
  });

  test('tells a user who may not install what the build needs the line to run, and leaves nothing in place', async () => {
    program('apt-get', 'exit 1');
    const archive = archiveOf(program('pretender', 'exit 41'));
    const options = ensureOptions(async () => new Response(archive), folder);
    const missing = missingPackages(BUILD_PACKAGES, folder);
    expect(missing).toEqual(expect.arrayContaining(['g++', 'make', 'flatbuffers-compiler']));
    await expect(ensureWorkerBinary(options)).rejects.toMatchObject({
      code: 'worker-missing',
      message: expect.stringContaining(`run: sudo ${installCommand(missing)}`),
    });
    expect(existsSync(cachedWorkerPath(options.location))).toBe(false);
  });

  // Where the worker was downloaded, nothing is there to build one with.
  test.skipIf(cannotBuild)('names the log when the build fails, and keeps it', async () => {
    const options = ensureOptions(offline);
    const broken = { ...options, package: { ...workerPackage(), sourceDir: join(folder, 'no-source') } };
    const log = join(options.location.cacheDir, 'build.log');
    await expect(ensureWorkerBinary(broken)).rejects.toMatchObject({
      code: 'worker-missing',
      message: expect.stringContaining(log),
    });
    expect(existsSync(log)).toBe(true);
  });

  test("uses the user's own worker and makes no other, and refuses one that does not start", async () => {
    const options = ensureOptions(offline);
    await ensureWorkerBinary({ ...options, location: { ...options.location, ownPath: realWorker } });
    expect(existsSync(options.location.cacheDir)).toBe(false);
    const location = { ...options.location, ownPath: program('other', 'exit 0') };
    await expect(ensureWorkerBinary({ ...options, location })).rejects.toThrow(/MEDIASOUP_WORKER_BIN/);
  });
});

test('the lock of set-up gives up after its time, and is free once its holder is done', async () => {
  const file = join(folder, 'lock');
  let release = () => {};
  const held = withSetUpLock(file, { limitMs: 0, onWait: () => {} }, () => new Promise<void>((r) => (release = r)));
  const refused = withSetUpLock(file, { limitMs: 0, onWait: () => {} }, async () => 'two');
  await expect(refused).rejects.toMatchObject({ code: 'worker-missing' });
  release();
  await held;
  expect(await withSetUpLock(file, { limitMs: 0, onWait: () => {} }, async () => 'three')).toBe('three');
});
