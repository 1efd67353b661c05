import { afterEach, expect, test, vi } from 'vitest';
import { FaceRecognition } from '../../../inference/live/face-recognition.ts';
import type { LiveRecogniser } from '../../../inference/live/open-recogniser.ts';
import type { VideoFrame } from '../../../inference/media/video-frame.ts';
import { PeopleOnScreen } from '../../../inference/recognise/people-on-screen.ts';
import type { Detection } from '../../../inference/track/box.ts';
import { CameraPath } from '../../../inference/track/camera-path.ts';
import { Tracker } from '../../../inference/track/tracker.ts';
import { like, policyOf, RECOGNISER } from '../recognise/stage.ts';
import { PICTURE_SIDE, seen, TRACKER } from '../synthetic-tracks.ts';

const ANNA = 0;
const anna = like(ANNA, 0.98);
const CHIP = { width: 1, height: 1, rgb: new Uint8ClampedArray(3), luma: new Uint8ClampedArray(1) };
const GOOD = { sizePx: 100, sharpness: 20, yaw: 0, pitch: 0.58, roll: 0, score: 0.9 };
const LANDMARKS: Detection['landmarks'] = [
  [120, 120],
  [140, 120],
  [130, 131],
  [122, 140],
  [138, 140],
];

afterEach(() => vi.useRealTimers());

/** A recogniser that does as it is told. */
function recogniser(embed: () => Promise<Float32Array>, quality = GOOD): LiveRecogniser & { closed: number } {
  const made = {
    ...RECOGNISER,
    closed: 0,
    look: () => ({ chip: CHIP, quality }),
    embed,
    complete: () => Promise.reject(new Error('the detector gives landmarks')),
    close: async () => {
      made.closed++;
    },
  };
  return made;
}

/** One face before a camera, and the recognition of a stream. */
class Scene {
  readonly people = new PeopleOnScreen();
  readonly recognition: FaceRecognition;
  readonly #camera = new CameraPath();
  readonly #tracker = new Tracker(TRACKER, this.#camera);
  readonly #landmarks: boolean;
  #frame = -1;

  constructor(open: () => Promise<LiveRecogniser>, landmarks = true) {
    this.recognition = new FaceRecognition(this.people, open);
    this.#landmarks = landmarks;
    this.people.setPolicy(policyOf('except', ANNA));
  }

  /** So many frames, each looked at by the detector; whatever is under way between two of them ends. */
  async play(frames: number): Promise<boolean> {
    let visible = false;
    for (let n = 0; n < frames; n++) {
      this.#frame++;
      this.#camera.add(this.#frame, 0, 0);
      const face = this.#landmarks ? { ...seen(100, 100, 60), landmarks: LANDMARKS } : seen(100, 100, 60);
      const faces = this.#tracker.update(this.#frame, [face], PICTURE_SIDE);
      this.people.see(this.#frame, faces);
      const frame = { index: this.#frame, broken: false } as VideoFrame;
      await this.recognition.offer(frame, faces);
      await new Promise(setImmediate);
      const [track] = faces.map(({ track: { id } }) => id);
      const cover = { track: track!, box: face, score: 0.9 };
      visible = this.people.verdictsOf([cover], this.#frame).get(track!)!.visible;
    }
    return visible;
  }
}

test('a listed person is seen once the recogniser is loaded', async () => {
  let load: (loaded: LiveRecogniser) => void = () => undefined;
  const open = vi.fn(() => new Promise<LiveRecogniser>((resolve) => (load = resolve)));
  const scene = new Scene(open);
  expect(open).not.toHaveBeenCalled();
  expect(await scene.play(30)).toBe(false);
  expect(open).toHaveBeenCalledTimes(1);
  expect(scene.recognition.name).toBeNull();
  load(recogniser(async () => anna));
  expect(await scene.play(12)).toBe(true);
  expect(scene.recognition.name).toBe(RECOGNISER.name);
});

test('looks are few: the first ones three frames apart, later ones fifteen', async () => {
  const embed = vi.fn(async () => anna);
  const scene = new Scene(async () => recogniser(embed));
  await scene.play(1 + 6 + 1);
  expect(embed).toHaveBeenCalledTimes(3);
  await scene.play(60);
  expect(embed).toHaveBeenCalledTimes(3 + 4);
});

test('nothing is loaded, and nobody looked at, where nobody is listed or pinned', async () => {
  const open = vi.fn(async () => recogniser(async () => anna));
  const scene = new Scene(open);
  scene.people.setPolicy(null);
  await scene.play(30);
  expect(open).not.toHaveBeenCalled();
});

test('a look that shows too little is not embedded', async () => {
  const embed = vi.fn(async () => anna);
  const scene = new Scene(async () => recogniser(embed, { ...GOOD, sharpness: 3 }));
  expect(await scene.play(60)).toBe(false);
  expect(embed).not.toHaveBeenCalled();
});

test('a recogniser that does not load leaves everyone covered, says so, and is tried again later', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const open = vi
    .fn<() => Promise<LiveRecogniser>>()
    .mockRejectedValueOnce(new Error('no such file'))
    .mockResolvedValue(recogniser(async () => anna));
  const scene = new Scene(open);
  expect(await scene.play(30)).toBe(false);
  expect(open).toHaveBeenCalledTimes(1);
  expect(scene.recognition.problem).toBe('faces are not recognised: no such file');
  expect(scene.recognition.counts.failures).toBe(1);
  vi.advanceTimersByTime(6000);
  expect(await scene.play(30)).toBe(true);
  expect(scene.recognition.problem).toBeNull();
});

test('an embedding that fails covers at once', async () => {
  let isFailing = false;
  const scene = new Scene(async () =>
    recogniser(async () => {
      if (isFailing) throw new Error('the model failed');
      return anna;
    }),
  );
  expect(await scene.play(20)).toBe(true);
  isFailing = true;
  expect(await scene.play(20)).toBe(false);
  isFailing = false;
  expect(await scene.play(40)).toBe(true);
  expect(scene.recognition.counts.failures).toBeGreaterThan(0);
  expect(scene.recognition.problem).toBeNull();
});

test('a cut that fails covers at once as well', async () => {
  const broken = recogniser(async () => anna);
  const scene = new Scene(async () => broken);
  expect(await scene.play(20)).toBe(true);
  broken.look = () => {
    throw new Error('a picture of another format');
  };
  expect(await scene.play(20)).toBe(false);
});

test('a recogniser that only fails is given up and loaded anew', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const bad = recogniser(() => Promise.reject(new Error('its thread ended')));
  const open = vi.fn(async () => bad).mockResolvedValueOnce(bad);
  const scene = new Scene(open);
  expect(await scene.play(200)).toBe(false);
  expect(bad.closed).toBe(1);
  expect(open).toHaveBeenCalledTimes(1);
  open.mockResolvedValue(recogniser(async () => anna));
  vi.advanceTimersByTime(6000);
  expect(await scene.play(40)).toBe(true);
  expect(open).toHaveBeenCalledTimes(2);
});

test('an embedding that hangs holds up no frame, and covers everyone until it comes', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  let answer: ((embedding: Float32Array) => void) | undefined;
  let hangs = false;
  const scene = new Scene(async () =>
    recogniser(() => (hangs ? new Promise((resolve) => (answer = resolve)) : Promise.resolve(anna))),
  );
  expect(await scene.play(20)).toBe(true);
  hangs = true;
  await scene.play(20);
  vi.advanceTimersByTime(1100);
  expect(await scene.play(1)).toBe(false);
  expect(scene.recognition.problem).toMatch(/longer than 1000 ms/);
  hangs = false;
  answer!(anna);
  expect(await scene.play(30)).toBe(true);
});

test('landmarks that the detector does not give are found, and waited for no longer than a moment', async () => {
  const loaded = recogniser(async () => anna);
  const complete = vi.fn(async (_: unknown, face: Detection) => ({ ...face, landmarks: LANDMARKS }));
  const open = vi.fn(async () => ({ ...loaded, complete }));
  const scene = new Scene(open, false);
  expect(await scene.play(12)).toBe(true);
  complete.mockImplementation(() => new Promise(() => undefined));
  const started = performance.now();
  await scene.play(40);
  expect(performance.now() - started).toBeLessThan(1000);
});
