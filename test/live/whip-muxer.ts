// Publishes a file with H.264 and Opus by FFmpeg's WHIP muxer, in real time: whip-muxer.ts FILE URL KEY
import { setTimeout as sleep } from 'node:timers/promises';
import { Demuxer, Muxer } from 'node-av';

const [file, url, key] = process.argv.slice(2) as [string, string, string];
await using input = await Demuxer.open(file);
await using muxer = await Muxer.open(url, { input, format: 'whip', options: { authorization: key } });
const indexes = [muxer.addStream(input.video()!), muxer.addStream(input.audio()!)];
let startedAt: number | undefined;
for await (const packet of input.packets()) {
  if (!packet) continue;
  const { num, den } = input.streams[packet.streamIndex]!.timeBase;
  startedAt ??= performance.now();
  const dueMs = (Number(packet.dts) * num * 1000) / den - (performance.now() - startedAt);
  if (dueMs > 1) await sleep(dueMs);
  await muxer.writePacket(packet, indexes[packet.streamIndex]!);
}
