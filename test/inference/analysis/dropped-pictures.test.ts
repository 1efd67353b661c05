import type { Frame } from 'node-av';
import { expect, test } from 'vitest';
import type { Detector } from '../../../inference/detect/detector.ts';
import { InferenceError } from '../../../inference/errors.ts';
import { type InspectedFrame, Inspector } from '../../../inference/inspector.ts';
import { closeFrame, type VideoFrame } from '../../../inference/media/video-frame.ts';
import type { Detection } from '../../../inference/track/box.ts';
import { makePicture, makeVideoFrame, texture } from '../../clips/picture.ts';
import { TRACKER } from '../synthetic-tracks.ts';

const [FRAMES, WINDOW, EVERY] = [60, 20, 4];
/** Frames that show another scene from there on, one that is damaged, one on which the detector fails. */
const [CUT, BROKEN, FAILING] = [23, 31, 44];

class PlantedDetector implements Detector {
  readonly name = 'planted';

  async detect(picture: Frame): Promise<Detection[]> {
    const frame = Number(picture.pts);
    // Of a picture that is closed there is nothing to see.
    if (!picture.data) throw new Error('the picture is closed');
    if (frame === FAILING) throw new InferenceError('run-failed', 'as planned');
    return [{ x: 10 + frame / 4, y: 12, w: 16, h: 16, score: 0.9 }];
  }

  async close(): Promise<void> {}
}

/** Goes through a clip with an inspector; how many of its pictures were open at a time. */
async function inspected(dropsPictures: boolean, looksBeside: boolean) {
  let open = 0;
  let mostOpen = 0;
  const inspector = new Inspector({
    detector: new PlantedDetector(),
    windowFrames: WINDOW,
    detectEveryFrames: EVERY,
    inputPx: 64,
    sharpEveryFrames: 0,
    sharpInputPx: 64,
    minScore: 0.1,
    tracker: TRACKER,
    dropsPictures,
    looksBeside,
  });
  const seen: Omit<InspectedFrame, 'frame'>[] = [];
  const order: number[] = [];
  const take = ({ frame, ...rest }: InspectedFrame): void => {
    order.push(frame.index);
    seen.push(rest);
    if (!dropsPictures) closeFrame(frame);
  };
  for (let index = 0; index < FRAMES; index++) {
    const picture = makePicture(64, 48, texture(index < CUT ? 1 : 2));
    const made = makeVideoFrame(index, picture, index === BROKEN);
    const giveBack = () => {
      open--;
      picture.free();
    };
    open++;
    const frame: VideoFrame = { ...made, giveBack };
    for (const ready of await inspector.push(frame)) take(ready);
    mostOpen = Math.max(mostOpen, open);
  }
  for await (const frame of inspector.flush()) take(frame);
  await inspector.close();
  return { seen, order, mostOpen, open, failures: inspector.failures.count };
}

test.each([false, true])(
  'dropping pictures changes nothing that is known of frames (looks beside: %s)',
  async (beside) => {
    const [kept, dropped] = [await inspected(false, beside), await inspected(true, beside)];
    expect(dropped.seen).toEqual(kept.seen);
    expect(dropped.order).toEqual(Array.from({ length: FRAMES }, (_, i) => i));
    expect(dropped.failures).toBe(kept.failures);
    expect(dropped.seen.filter(({ inspection }) => inspection === null).length).toBeGreaterThan(1);
    expect([kept.open, dropped.open]).toEqual([0, 0]);
    expect(kept.mostOpen).toBeGreaterThanOrEqual(WINDOW);
    // The latest that waits, and one that is being looked at.
    expect(dropped.mostOpen).toBeLessThanOrEqual(3);
  },
);
