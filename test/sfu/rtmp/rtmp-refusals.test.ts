import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { FfmpegProcess } from './ffmpeg-process.ts';
import { makeFlvClip } from './media-clip.ts';
import { RecordingSink } from './recording-sink.ts';
import { connectCommand, createStreamCommand, HANDSHAKE, publishCommand } from './rtmp-bytes.ts';
import { KEY, RtmpDoor } from './rtmp-door.ts';
import { until } from './until.ts';

const folder = temporaryFolder();
const clip = join(folder, 'clip.flv');

beforeAll(() => makeFlvClip(clip, 5));

const publish = (url: string): Promise<FfmpegProcess> =>
  FfmpegProcess.start('-re', '-i', clip, '-c', 'copy', '-f', 'flv', url);

describe('a publish is refused', () => {
  test.each([
    ['with a wrong key', 'cam', 'wrong', 'live', true],
    ['without a key', 'cam', null, 'live', false],
    ['with two keys', 'cam', `${KEY}&key=${KEY}`, 'live', false],
    ['into another app', 'cam', KEY, 'vod', false],
    ['under a name that no stream has', 'cam_1', KEY, 'live', false],
    ['with a key beyond all length', 'cam', 'k'.repeat(300), 'live', false],
  ] as const)('%s', async (_, stream, key, app, isAsked) => {
    const door = await RtmpDoor.open();
    const sender = await publish(door.url(stream, key, app));
    expect(await sender.exited()).not.toBe(0);
    expect(door.asked).toHaveLength(isAsked ? 1 : 0);
    expect(door.published).toEqual([]);
    expect(door.logged.join('')).not.toContain(KEY);
    await until(() => door.server.connections === 0, 'the connection is gone');
  });

  test('when the check of its key fails or takes too long', async () => {
    const failing = await RtmpDoor.open({ authorize: () => Promise.reject(new Error('no database')) });
    expect(await (await publish(failing.url('cam'))).exited()).not.toBe(0);
    const slow = await RtmpDoor.open({ authorize: () => new Promise(() => undefined), publishTimeoutMs: 300 });
    expect(await (await publish(slow.url('cam'))).exited()).not.toBe(0);
    expect([...failing.published, ...slow.published]).toEqual([]);
  });
});

describe('nothing is played', () => {
  test.each(['with the key', 'without'])('%s, whether somebody publishes or not', async (kind) => {
    const door = await RtmpDoor.open();
    const url = door.url('cam', kind === 'without' ? null : KEY);
    const early = await FfmpegProcess.start('-i', url, '-c', 'copy', '-f', 'null', '-');
    expect(await early.exited()).not.toBe(0);
    await publish(door.url('cam'));
    const sink = RecordingSink.of((await door.nextPublish()).source);
    await until(() => sink.video.length > 5, 'pictures');
    const player = await FfmpegProcess.start('-i', url, '-c', 'copy', '-f', 'null', '-');
    expect(await player.exited()).not.toBe(0);
    expect(player.said).not.toContain('Stream #0:0');
    const before = sink.video.length;
    await until(() => sink.video.length > before + 5, 'the publisher is not disturbed');
  });
});

describe('a connection', () => {
  test('is closed at its second publish', async () => {
    const door = await RtmpDoor.open();
    const socket = connect(door.server.port, '127.0.0.1');
    socket.resume();
    socket.write(
      Buffer.concat([HANDSHAKE, connectCommand('live'), createStreamCommand(), publishCommand(`cam?key=${KEY}`)]),
    );
    await until(() => door.asked.length === 1, 'the first publish');
    expect(socket.destroyed).toBe(false);
    const closed = closeOf(socket);
    socket.write(publishCommand(`cam2?key=${KEY}`));
    await closed;
    expect(door.asked).toHaveLength(1);
  });

  test('without a publish ends in time, whether it says nothing or little by little', async () => {
    const door = await RtmpDoor.open({ publishTimeoutMs: 300 });
    const silent = connect(door.server.port, '127.0.0.1');
    const dripping = connect(door.server.port, '127.0.0.1');
    const drip = setInterval(() => dripping.write(Buffer.of(3)), 20);
    dripping.on('error', () => undefined);
    await Promise.all([closeOf(silent), closeOf(dripping)]);
    clearInterval(drip);
    await until(() => door.server.connections === 0, 'the connections are gone');
  });

  test('may say only so much before its publish', async () => {
    const door = await RtmpDoor.open({ publishTimeoutMs: 60_000 });
    const socket = connect(door.server.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    const closed = closeOf(socket);
    socket.write(HANDSHAKE);
    // createStream as often as it likes is no publish.
    socket.write(Buffer.concat(Array.from({ length: 20_000 }, createStreamCommand)));
    await closed;
  });

  test('is one of few from its address, and of few in all', async () => {
    const door = await RtmpDoor.open({ maxConnectionsPerAddress: 2, publishTimeoutMs: 60_000 });
    const sockets = [0, 1].map(() => connect(door.server.port, '127.0.0.1'));
    await until(() => door.server.connections === 2, 'two connections');
    const third = connect(door.server.port, '127.0.0.1');
    third.on('error', () => undefined);
    await closeOf(third);
    sockets[0]!.destroy();
    await until(() => door.server.connections === 1, 'one is gone');
    const fourth = connect(door.server.port, '127.0.0.1');
    await until(() => door.server.connections === 2, 'its place is free again');
    for (const socket of [...sockets, fourth]) socket.destroy();
  });
});

/** However it comes about: a reset is a close, too. */
function closeOf(socket: Socket): Promise<unknown> {
  socket.on('error', () => undefined);
  return new Promise((fulfil) => socket.once('close', fulfil));
}
