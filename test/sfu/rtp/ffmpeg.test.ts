import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { findFfmpeg } from '../../../bench/ffmpeg-executable.ts';
import type { VideoCodec } from '../../../inference/live/coded-media.ts';
import { JitterBuffer } from '../../../sfu/rtp/jitter-buffer.ts';
import { createPacketizer } from '../../../sfu/rtp/payload-formats.ts';
import { senderReportIn } from '../../../sfu/rtp/rtcp.ts';
import { parseRtpPacket } from '../../../sfu/rtp/rtp-packet.ts';
import { RtpStream } from '../../../sfu/rtp/rtp-stream.ts';
import { unwrapNear } from '../../../sfu/rtp/sequence.ts';
import {
  CLIP_FRAMES_PER_SECOND,
  encodedClip,
  essentialUnits,
  fileHashes,
  framesOf,
  pictureHashes,
} from './coded-clips.ts';
import { FRAME_TICKS, packetsOf, Receiver } from './streams.ts';

const FRAMES = 45;
/** Room for a keyframe's packets that ffmpeg sends at once. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** Rounding of ffmpeg's frame times to RTP's clock. */
const TICKS_TOLERANCE = 1;
/** A report's clock is read when it is sent, a little after its frame was due. */
const REPORT_TOLERANCE_MS = 1500;

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rtp-'));
  ending.push(() => rm(folder, { recursive: true }));
  return folder;
}

async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  ending.push(() => new Promise<void>((closed) => socket.close(closed)));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  return socket;
}

/** Lets ffmpeg send a file's frames as RTP, in real time. */
async function sendByFfmpeg(codec: VideoCodec, file: Buffer, port: number, rtcpPort: number): Promise<ChildProcess> {
  const path = join(await temporaryFolder(), 'clip');
  await writeFile(path, file);
  const format = codec === 'vp8' ? '-f ivf' : `-f h264 -framerate ${CLIP_FRAMES_PER_SECOND}`;
  const target = `rtp://127.0.0.1:${port}?rtcpport=${rtcpPort}&pkt_size=1200`;
  const args = `-loglevel error -re ${format} -i ${path} -c copy -f rtp ${target}`;
  const sender = spawn((await findFfmpeg()).path, args.split(' '), { stdio: 'ignore' });
  ending.push(async () => sender.kill('SIGKILL'));
  return sender;
}

const expectedOf = (codec: VideoCodec, frames: readonly Buffer[]) =>
  codec === 'vp8' ? frames : frames.map(essentialUnits);

describe.each(['vp8', 'h264'] as const)('a real %s stream', (codec) => {
  test('cut into our packets and put together again decodes to the same pictures', async () => {
    const frames = framesOf(codec, await encodedClip(codec, FRAMES));
    expect(frames).toHaveLength(FRAMES);
    const receiver = new Receiver(codec).receive(...packetsOf(codec, frames).flat());
    expect(receiver.losses).toBe(0);
    expect(receiver.frames.map(({ isKeyframe }) => isKeyframe)).toEqual(frames.map((_, i) => i % 15 === 0));
    const original = frames.map((data) => ({ data, pts: 0, isKeyframe: false }));
    const hashes = await pictureHashes(codec, receiver.frames);
    expect(new Set(hashes).size).toBe(FRAMES);
    expect(hashes).toEqual(await pictureHashes(codec, original));
  });

  test('that lost packets decodes without error, to pictures of the whole stream', async () => {
    const frames = framesOf(codec, await encodedClip(codec, FRAMES));
    const receiver = new Receiver(codec);
    for (const [i, packets] of packetsOf(codec, frames).entries()) {
      // The last packet of frame 5, and a middle one of the keyframe that would have ended the wait.
      if (i === 5) receiver.receive(...packets.slice(0, -1)).lose(1);
      else if (i === 15)
        receiver
          .receive(...packets.slice(0, 2))
          .lose(1)
          .receive(...packets.slice(3));
      else receiver.receive(...packets);
    }
    expect(receiver.frames).toHaveLength(FRAMES - 25);
    const original = frames.map((data) => ({ data, pts: 0, isKeyframe: false }));
    const all = await pictureHashes(codec, original);
    expect(await pictureHashes(codec, receiver.frames)).toEqual([...all.slice(0, 5), ...all.slice(30)]);
  });

  test("in ffmpeg's packets over UDP is put together to what was encoded", async () => {
    const file = await encodedClip(codec, FRAMES);
    const expected = expectedOf(codec, framesOf(codec, file));
    const [rtp, rtcp] = [await boundSocket(), await boundSocket()];
    const receiver = new Receiver(codec);
    const buffer = new JitterBuffer(receiver.depacketizer);
    const refused: Buffer[] = [];
    const reports: Buffer[] = [];
    const sources = new Set<number>();
    rtp.on('message', (message) => {
      const packet = parseRtpPacket(message);
      if (packet === null) return refused.push(message);
      sources.add(packet.ssrc);
      return buffer.push(packet, performance.now());
    });
    rtcp.on('message', (message) => reports.push(message));
    const startedMs = Date.now();
    const sender = await sendByFfmpeg(codec, file, rtp.address().port, rtcp.address().port);
    const [exitCode] = await once(sender, 'exit');
    // What still lies in the sockets.
    await sleep(200);

    expect(exitCode).toBe(0);
    expect(refused).toEqual([]);
    expect(receiver.losses).toBe(0);
    expect(receiver.frames.map(({ data }) => expected.findIndex((frame) => frame.equals(data)))).toEqual(
      expected.map((_, i) => i),
    );
    for (const [i, { pts }] of receiver.frames.entries()) {
      expect(Math.abs(pts - receiver.frames[0].pts - i * FRAME_TICKS)).toBeLessThanOrEqual(TICKS_TOLERANCE);
    }
    const report = reports.map(senderReportIn).find((found) => found !== null)!;
    expect([report.ssrc]).toEqual([...sources]);
    const reportedPts = unwrapNear(receiver.frames[0].pts, report.rtpTimestamp, 32);
    expect(Math.abs(reportedPts - receiver.frames[0].pts)).toBeLessThan(FRAMES * FRAME_TICKS);
    expect(Math.abs(report.ntpMs - startedMs)).toBeLessThan(REPORT_TOLERANCE_MS);
  });

  test('in our packets over UDP is put together by ffmpeg to what was encoded', async () => {
    const frames = framesOf(codec, await encodedClip(codec, FRAMES));
    const folder = await temporaryFolder();
    const socket = await boundSocket();
    const port = await freePort();
    const description = join(folder, 'stream.sdp');
    const output = join(folder, 'received');
    await writeFile(description, sdp(codec, port));
    const format = codec === 'vp8' ? 'ivf' : 'h264';
    const args = `-loglevel error -protocol_whitelist file,udp,rtp -i ${description} -c copy -frames:v ${FRAMES} -f ${format} ${output}`;
    const receiver = spawn((await findFfmpeg()).path, args.split(' '), { stdio: 'ignore' });
    ending.push(async () => receiver.kill('SIGKILL'));
    const exited = once(receiver, 'exit');
    while (receiver.exitCode === null && !(await isTaken(port))) await sleep(20);
    const stream = new RtpStream({ ssrc: 7, payloadType: 96, firstSequenceNumber: 65_500 });
    const packetizer = createPacketizer(codec);
    // One more, behind which ffmpeg sees that the last one is whole.
    for (const [i, frame] of [...frames, frames[0]].entries()) {
      stream.sendFrame(frame, i * FRAME_TICKS, packetizer, (packet) => socket.send(packet, port, '127.0.0.1'));
      await sleep(10);
    }
    expect((await exited)[0]).toBe(0);
    const original = frames.map((data) => ({ data, pts: 0, isKeyframe: false }));
    const hashes = await fileHashes(format, await readFile(output));
    expect(hashes).toEqual(await pictureHashes(codec, original));
  });
});

function sdp(codec: VideoCodec, port: number): string {
  const lines = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', `m=video ${port} RTP/AVP 96`];
  lines.push(`a=rtpmap:96 ${codec === 'vp8' ? 'VP8' : 'H264'}/90000`);
  if (codec === 'h264') lines.push('a=fmtp:96 packetization-mode=1');
  return `${lines.join('\r\n')}\r\n`;
}

/** A port on which ffmpeg can listen, and on the next one, where it awaits RTCP. */
async function freePort(): Promise<number> {
  for (;;) {
    const probe = createSocket('udp4');
    probe.bind(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address();
    await new Promise<void>((closed) => probe.close(closed));
    if (port % 2 === 0 && !(await isTaken(port + 1))) return port;
  }
}

function isTaken(port: number): Promise<boolean> {
  const probe = createSocket('udp4');
  return new Promise((resolve) => {
    probe.once('error', () => resolve(true));
    probe.bind(port, () => probe.close(() => resolve(false)));
  });
}
