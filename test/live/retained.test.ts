import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasFfmpeg } from '../clips/ffmpeg.ts';
import { forMs, LiveRig, until } from './live-rig.ts';

let rig: LiveRig;

beforeAll(async () => {
  rig = await LiveRig.create();
});

afterAll(() => rig?.close());

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Out of the test's own frame, so that nothing of it is on the stack. */
async function publishAndWatchOnce(): Promise<WeakRef<object>[]> {
  const stream = rig.stream('retained');
  const publisher = await rig.publish(stream, 'vp8');
  await until('the stream to be live', () => stream.state === 'live');
  const viewer = await rig.watch(stream, 'vp8');
  await until('packets', () => viewer.of('video').length > 0);
  const group = await stream.output!.group(null);
  const left = [stream, stream.output!, group, group.router].map((one) => new WeakRef<object>(one));
  await group.createTransport({ iceConsentTimeout: 5 });
  await stream.close();
  await publisher.close();
  await viewer.close();
  return left;
}

describe.skipIf(!hasFfmpeg)('a stream that was deleted', () => {
  test('leaves nothing in memory, though viewers were still there', async () => {
    const left = await publishAndWatchOnce();
    for (let i = 0; i < 20 && left.some((one) => one.deref()); i++) {
      await forMs(250);
      collectGarbage();
    }
    expect(left.map((one) => one.deref()?.constructor.name)).toEqual([undefined, undefined, undefined, undefined]);
  });
});
