import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { FfmpegProcess } from './ffmpeg-process.ts';
import { makeFlvClip } from './media-clip.ts';
import { RecordingSink } from './recording-sink.ts';
import { connectCommand, createStreamCommand, HANDSHAKE, message, number, publishCommand, text } from './rtmp-bytes.ts';
import { KEY, RtmpDoor } from './rtmp-door.ts';
import { until } from './until.ts';

const folder = temporaryFolder();
const clip = join(folder, 'clip.flv');

/** The chunk's header and the head of an AMF0 string. */
const MESSAGE_HEAD = 12 + 3;
const CASES_PER_STAGE = 1_300;
const AT_ONCE = 16;
/** Buffers of connections that were open together, and what the collector has not got to yet. */
const MAX_GROWTH_BYTES = 256 << 20;

/** What ffmpeg sends in a publish, and where its stages begin. */
let capture: Buffer;
let stages: Record<'handshake' | 'connect' | 'publish' | 'media', readonly [number, number]>;

beforeAll(async () => {
  await makeFlvClip(clip, 1);
  capture = await captureOfPublish();
  const connectAt = 1 + 2 * 1536;
  const publishAt = capture.indexOf('releaseStream');
  const mediaAt = capture.indexOf('@setDataFrame');
  expect(publishAt).toBeGreaterThan(connectAt);
  expect(mediaAt).toBeGreaterThan(publishAt);
  stages = {
    handshake: [0, connectAt],
    connect: [connectAt, publishAt],
    publish: [publishAt - MESSAGE_HEAD, mediaAt],
    media: [mediaAt - MESSAGE_HEAD, capture.length],
  };
});

describe('bytes that are not what they should be', () => {
  test.each(['handshake', 'connect', 'publish', 'media'] as const)(
    `${CASES_PER_STAGE} broken in the %s: each ends alone`,
    async (stage) => {
      const random = randomFrom(stage.length * 7919);
      const before = process.memoryUsage().rss;
      const sinks: RecordingSink[] = [];
      let publishes = 0;
      const door = await RtmpDoor.open({
        maxConnectionsPerAddress: 2 * AT_ONCE,
        onPublish: async (_, source) => {
          sinks.push(RecordingSink.of(source));
          publishes++;
        },
      });
      for (let done = 0; done < CASES_PER_STAGE; done += AT_ONCE) {
        const cases = Array.from({ length: AT_ONCE }, () => broken(capture, stages[stage], random));
        await Promise.all(cases.map((bytes) => send(door.server.port, bytes, stages[stage][0])));
        for (const sink of sinks.splice(0)) await sink.end();
      }
      await until(() => door.server.connections === 0, 'every connection is gone');
      // Breaking media must reach the readers of media.
      if (stage === 'media') expect(publishes).toBeGreaterThan(CASES_PER_STAGE / 2);
      expect(process.memoryUsage().rss - before).toBeLessThan(MAX_GROWTH_BYTES);

      const sender = await FfmpegProcess.start('-re', '-i', clip, '-c', 'copy', '-f', 'flv', door.url('cam'));
      await until(() => sinks.length === 1, 'the server still takes a publish');
      expect(await sender.exited()).toBe(0);
      expect(sinks[0]!.video.length).toBeGreaterThan(0);
    },
  );

  test('pure noise, with and without a handshake before it', async () => {
    const random = randomFrom(99);
    const door = await RtmpDoor.open({ maxConnectionsPerAddress: 2 * AT_ONCE });
    for (let done = 0; done < 600; done += AT_ONCE) {
      const cases = Array.from({ length: AT_ONCE }, (_, index) => {
        const noise = Buffer.from(Array.from({ length: Math.floor(random() * 4000) }, () => random() * 256));
        return index % 2 ? noise : Buffer.concat([HANDSHAKE, noise]);
      });
      await Promise.all(cases.map((bytes) => send(door.server.port, bytes)));
    }
    await until(() => door.server.connections === 0, 'every connection is gone');
    expect(door.published).toEqual([]);
  });
});

const setChunkSize = (size: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(size);
  return message(1, payload, { chunkStream: 2 });
};
const nested = (depth: number): Buffer =>
  Buffer.concat([text('connect'), number(1), ...Array.from({ length: depth }, () => Buffer.of(3, 0, 1, 97))]);

describe('what would hang or fill a parser without bounds', () => {
  test.each([
    ['a chunk size of zero', () => [setChunkSize(0), connectCommand('live')]],
    ['a chunk size with its first bit set', () => [setChunkSize(0x80000001)]],
    ['a control message cut short', () => [message(1, Buffer.of(0), { chunkStream: 2 })]],
    ['a message of 16 MiB', () => [bigMessage(0xffffff)]],
    ['objects in objects without end', () => [message(20, nested(6_000))]],
    [
      'an array of four billion',
      () => [message(20, Buffer.concat([text('connect'), Buffer.of(10, 255, 255, 255, 255)]))],
    ],
    ['a command named like a property of every object', () => [message(20, Buffer.concat([text('play'), number(0)]))]],
    ['a connect whose URL is none', () => [message(20, Buffer.concat([text('connect'), number(1), Buffer.of(5)]))]],
    [
      'more chunk streams than any encoder has',
      () => Array.from({ length: 40 }, (_, index) => message(4, Buffer.alloc(6), { chunkStream: 3 + index })),
    ],
    [
      'a header inside of a message',
      () => [message(20, Buffer.alloc(400)).subarray(0, 140), message(20, Buffer.alloc(20_000)).subarray(0, 140)],
    ],
    ['a publish before any connect', () => [publishCommand(`cam?key=${KEY}`)]],
    [
      'a picture of 9 MiB after its publish',
      () => [connectCommand('live'), createStreamCommand(), publishCommand(`cam?key=${KEY}`), bigMessage(9 << 20, 9)],
    ],
  ] as const)('%s closes its connection', async (_, parts) => {
    const door = await RtmpDoor.open({ publishTimeoutMs: 60_000 });
    const socket = connect(door.server.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    const closed = new Promise((fulfil) => socket.once('close', fulfil));
    for (const part of [HANDSHAKE, ...parts()]) {
      socket.write(part);
      await new Promise((fulfil) => setTimeout(fulfil, 20));
    }
    await closed;
    expect(door.published).toEqual([]);
  });
});

function bigMessage(length: number, type = 20): Buffer {
  const bytes = message(type, Buffer.alloc(128), { chunkStream: 5, streamId: 1 });
  bytes.writeUIntBE(length, 4, 3);
  return bytes;
}

/** Changes bytes within a stage: some flipped, cut, doubled, put in, or the rest cut off. */
function broken(whole: Buffer, [from, to]: readonly [number, number], random: () => number): Buffer {
  const at = from + Math.floor(random() * (to - from));
  const length = 1 + Math.floor(random() * Math.min(200, to - at));
  switch (Math.floor(random() * 5)) {
    case 0: {
      const bytes = Buffer.from(whole);
      for (let index = 0; index < 1 + random() * 12; index++) {
        bytes[from + Math.floor(random() * (to - from))]! = Math.floor(random() * 256);
      }
      return bytes;
    }
    case 1:
      return Buffer.concat([whole.subarray(0, at), whole.subarray(at + length)]);
    case 2:
      return Buffer.concat([whole.subarray(0, at + length), whole.subarray(at)]);
    case 3: {
      const noise = Buffer.from(Array.from({ length }, () => random() * 256));
      return Buffer.concat([whole.subarray(0, at), noise, whole.subarray(at)]);
    }
    default:
      return whole.subarray(0, at);
  }
}

/**
 * Sends all of it on a connection of its own, and leaves: what stands before `from` first. Where that holds a publish,
 * the rest waits for its answer, as media before it are not looked at.
 */
async function send(port: number, bytes: Buffer, from = bytes.length >> 1): Promise<void> {
  const socket: Socket = connect(port, '127.0.0.1');
  const closed = new Promise((fulfil) => socket.once('close', fulfil));
  let heard = '';
  const answered = new Promise<void>((fulfil) => {
    socket.on('data', (answer: Buffer) => {
      heard += answer.toString('latin1');
      if (heard.includes('NetStream.Publish.Start')) fulfil();
    });
  });
  socket.on('error', () => undefined);
  socket.write(bytes.subarray(0, from));
  if (bytes.subarray(0, from).includes(KEY)) await Promise.race([answered, closed]);
  socket.end(bytes.subarray(from));
  await closed;
}

/** Records what ffmpeg sends to a server that takes its publish. */
async function captureOfPublish(): Promise<Buffer> {
  const door = await RtmpDoor.open();
  const parts: Buffer[] = [];
  const between = createServer((client) => {
    const server = connect(door.server.port, '127.0.0.1');
    client.on('data', (bytes: Buffer) => parts.push(bytes));
    client.pipe(server).pipe(client);
    for (const socket of [client, server]) socket.on('error', () => undefined);
  });
  await new Promise<void>((fulfil) => between.listen(0, '127.0.0.1', fulfil));
  const { port } = between.address() as { port: number };
  const sender = await FfmpegProcess.start(
    '-i',
    clip,
    '-c',
    'copy',
    '-f',
    'flv',
    `rtmp://127.0.0.1:${port}/live/cam?key=${KEY}`,
  );
  expect(await sender.exited()).toBe(0);
  between.close();
  return Buffer.concat(parts);
}

/** Numbers 0..1 that are the same in every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
