import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ModelError } from '../../models/errors.ts';
import { resolveDetector, resolveModel } from '../../models/resolve.ts';
import { serveModels } from './model-server.ts';
import { SSD_BYTES, smallModels, YUNET_BYTES } from './small-models.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Long enough for a loopback answer on a busy machine, short enough to wait for. */
const TIMEOUT_MS = 400;

async function optionsFor(origin: string) {
  return { cacheDir: await temporaryFolder(), models: smallModels(origin), downloadTimeoutMs: TIMEOUT_MS };
}

test('a missing model is downloaded into the cache once', async () => {
  const asked: (string | undefined)[] = [];
  const options = await optionsFor(
    await serveModels((request, response) => {
      asked.push(request.url);
      response.end(YUNET_BYTES);
    }),
  );
  options.downloadTimeoutMs = 10_000;
  const first = await resolveModel('yunet-n', options);
  expect(first.origin).toBe('downloaded');
  expect(first.path).toBe(join(options.cacheDir, 'yunet_n_dynamic.onnx'));
  expect(Buffer.compare(first.bytes, YUNET_BYTES)).toBe(0);
  expect((await resolveModel('yunet-n', options)).origin).toBe('cache');
  expect(asked).toEqual(['/yunet_n_dynamic.onnx']);
  expect(await readdir(options.cacheDir)).toEqual(['yunet_n_dynamic.onnx']);
});

test('with downloads off nothing is asked for', async () => {
  let asked = 0;
  const origin = await serveModels((_request, response) => {
    asked++;
    response.end(YUNET_BYTES);
  });
  const options = { ...(await optionsFor(origin)), allowDownload: false };
  await expect(resolveModel('yunet-n', options)).rejects.toMatchObject({ code: 'not-found' });
  expect(asked).toBe(0);
});

test.each([
  { sent: 'wrong bytes', body: Buffer.alloc(YUNET_BYTES.length, 'x'), code: 'checksum-mismatch' },
  { sent: 'too few bytes', body: YUNET_BYTES.subarray(0, 10), code: 'truncated' },
  { sent: 'a sign-in page', body: Buffer.from('<html>'.repeat(100)), code: 'checksum-mismatch' },
])('$sent are refused and leave nothing behind', async ({ body, code }) => {
  const options = await optionsFor(await serveModels((_request, response) => response.end(body)));
  options.downloadTimeoutMs = 10_000;
  await writeFile(join(options.cacheDir, 'ssd-mobilenet-v1.onnx'), SSD_BYTES);
  const warnings: string[] = [];
  const error = await resolveDetector(options, (message) => warnings.push(message)).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ModelError);
  expect(error).toMatchObject({ code, message: expect.stringContaining('/yunet_n_dynamic.onnx') });
  expect(warnings).toEqual([]);
  expect(await readdir(options.cacheDir)).toEqual(['ssd-mobilenet-v1.onnx']);
});

test('an endless body is given up once it is longer than the model', async () => {
  let closed: () => void = () => undefined;
  const connectionClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const options = await optionsFor(
    await serveModels((_request, response) => {
      const sending = setInterval(() => response.write(YUNET_BYTES), 1);
      response.on('close', () => {
        clearInterval(sending);
        closed();
      });
    }),
  );
  options.downloadTimeoutMs = 10_000;
  const tooLong = { code: 'checksum-mismatch', message: expect.stringContaining(`more than the expected 60 bytes`) };
  await expect(resolveModel('yunet-n', options)).rejects.toMatchObject(tooLong);
  await connectionClosed;
  expect(await readdir(options.cacheDir)).toEqual([]);
});

test.each(['before the headers', 'inside the body'])('a server that hangs %s is not waited for', async (where) => {
  const options = await optionsFor(
    await serveModels((_request, response) => {
      if (where === 'inside the body') response.write(YUNET_BYTES.subarray(0, 10));
    }),
  );
  const started = performance.now();
  const error = await resolveModel('yunet-n', options).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'not-found', message: expect.stringContaining(`after ${TIMEOUT_MS} ms`) });
  expect(performance.now() - started).toBeGreaterThan(TIMEOUT_MS * 0.9);
  expect(await readdir(options.cacheDir)).toEqual([]);
});

test.each([
  { event: 'an error page', reason: '404' },
  { event: 'a connection lost in the middle', reason: 'terminated|other side closed' },
])('$event counts as not to be had: one warning, and the fallback', async ({ event, reason }) => {
  const options = await optionsFor(
    await serveModels((_request, response) => {
      if (event === 'an error page') {
        response.writeHead(404).end('no such file');
        return;
      }
      response.setHeader('content-length', YUNET_BYTES.length);
      response.write(YUNET_BYTES.subarray(0, 10), () => response.destroy());
    }),
  );
  options.downloadTimeoutMs = 10_000;
  await writeFile(join(options.cacheDir, 'ssd-mobilenet-v1.onnx'), SSD_BYTES);
  const warnings: string[] = [];
  const { entry } = await resolveDetector(options, (message) => warnings.push(message));
  expect(entry.name).toBe('ssd-mobilenet-v1');
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(new RegExp(reason));
});

test('aborting a download rejects with the caller’s reason', async () => {
  const abort = new AbortController();
  const options = await optionsFor(await serveModels(() => abort.abort(new Error('shutting down'))));
  options.downloadTimeoutMs = 10_000;
  await expect(resolveModel('yunet-n', { ...options, signal: abort.signal })).rejects.toThrow('shutting down');
  expect(await readdir(options.cacheDir)).toEqual([]);
});

test('a cache that cannot be written is named', async () => {
  const options = await optionsFor(await serveModels((_request, response) => response.end(YUNET_BYTES)));
  const inTheWay = join(options.cacheDir, 'a-file');
  await writeFile(inTheWay, '');
  const unwritable = { ...options, downloadTimeoutMs: 10_000, cacheDir: join(inTheWay, 'models') };
  const refused = { code: 'cache-unwritable', message: expect.stringContaining(inTheWay) };
  await expect(resolveModel('yunet-n', unwritable)).rejects.toMatchObject(refused);
  expect(await readdir(options.cacheDir)).toEqual(['a-file']);
});
