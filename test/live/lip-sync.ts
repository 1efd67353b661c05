import { join } from 'node:path';
import { decodeLuma, framesOf } from '../../bench/received-video.ts';
import { parseRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { ffmpeg } from '../clips/ffmpeg.ts';
import type { WhepViewer } from './whep-viewer.ts';

const SIZE = { width: 320, height: 180 };
/** Once a second, for so long, the picture is white and a tone sounds. */
const PERIOD_S = 1;
const FLASH_S = 0.2;
/** Between black and white. */
const BRIGHT = 120;
/** Opus packets of silence have a few bytes, those of a tone many more. */
const LOUD_BYTES = 30;

/** A clip of two seconds that flashes and beeps at the same moments. */
export async function makeFlashAndBeep(folder: string): Promise<string> {
  const file = join(folder, 'flash-and-beep.mkv');
  const on = `lt(mod(t\\,${PERIOD_S})\\,${FLASH_S})`;
  const picture = `color=black:size=${SIZE.width}x${SIZE.height}:rate=30,drawbox=color=white:t=fill:enable='${on}'`;
  const sound = `sine=frequency=1000:sample_rate=48000,volume='if(${on}\\,1\\,0)':eval=frame`;
  const inputs = ['-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', sound, '-t', '2'];
  await ffmpeg(...inputs, '-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-c:a', 'pcm_s16le', file);
  return file;
}

/**
 * How far each beep that a viewer got is from its flash, in ms; negative where it is heard first. Both are placed in
 * time as players do it: by the latest sender reports.
 */
export async function lipSyncMs(viewer: WhepViewer): Promise<number[]> {
  const momentOf = (kind: 'video' | 'audio', ticksPerMs: number) => {
    const report = viewer.reports.findLast((one) => one.kind === kind);
    if (!report) throw new Error(`no report of ${kind} came`);
    return (rtpTimestamp: number) => report.ntpMs + ((rtpTimestamp - report.rtpTimestamp) | 0) / ticksPerMs;
  };
  const flashes: number[] = [];
  const seenAt = momentOf('video', 90);
  let bright = true;
  for await (const { frame, luma } of decodeLuma(framesOf(viewer.of('video'), 'h264'), 'h264', SIZE)) {
    const isBright = luma[(SIZE.height / 2) * SIZE.width + SIZE.width / 2]! > BRIGHT;
    if (isBright && !bright) flashes.push(seenAt(frame.rtpTimestamp));
    bright = isBright;
  }
  const beeps: number[] = [];
  const heardAt = momentOf('audio', 48);
  let loud = true;
  for (const { rtp } of viewer.of('audio')) {
    const { payload, timestamp } = parseRtpPacket(rtp)!;
    const isLoud = payload.length > LOUD_BYTES;
    if (isLoud && !loud) beeps.push(heardAt(timestamp));
    loud = isLoud;
  }
  return flashes.flatMap((flash) => {
    const nearest = beeps.map((beep) => beep - flash).sort((a, b) => Math.abs(a) - Math.abs(b))[0];
    return nearest === undefined ? [] : [nearest];
  });
}
