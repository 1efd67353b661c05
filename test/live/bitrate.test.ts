import { afterAll, beforeAll, describe, test } from 'vitest';
import { hasFfmpeg } from '../clips/ffmpeg.ts';
import { forMs, LiveRig, until } from './live-rig.ts';
import { WhepViewer } from './whep-viewer.ts';

/** Far more than the tenth or so at which a network counts as full. */
const LOSS = 0.3;

let rig: LiveRig;

beforeAll(async () => {
  rig = await LiveRig.create();
});

afterAll(() => rig?.close());

describe.skipIf(!hasFfmpeg)('the bit rate', () => {
  test('falls where a viewer loses packets, and rises again when that one is gone', async () => {
    const stream = rig.stream('bitrate');
    await rig.publish(stream, 'h264');
    await until('the stream to be live', () => stream.state === 'live');
    await rig.watch(stream, 'h264');
    await forMs(4000);
    const before = stream.stats()!.bitrateBps.out;
    const negotiate = async (offer: string) => (await stream.watchWhep(offer)).answer;
    const poor = await WhepViewer.watch('h264', negotiate, { loss: LOSS });
    await until('a lower bit rate', () => stream.stats()!.bitrateBps.out < 0.6 * before, 25_000);
    await poor.close();
    await until('the poor viewer to be counted out', () => stream.stats()!.viewers === 1, 40_000);
    await until('the bit rate of before', () => stream.stats()!.bitrateBps.out > 0.8 * before, 25_000);
    await stream.close();
  });
});
