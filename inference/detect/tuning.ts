import type { ModelEntry } from '../../models/manifest.ts';
import type { TrackerOptions } from '../track/tracker.ts';

/** How one family of detectors is used on files: what bench/leaks and bench/blur found to be worth its time. */
export interface FileTuning {
  /** Time between two detections. */
  readonly detectEverySeconds: number;
  /** The longer side of the picture as the detector sees it. */
  readonly inputPx: number;
  /** Time between two looks at `sharpInputPx`, for the small faces; 0 for none. */
  readonly sharpEverySeconds: number;
  readonly sharpInputPx: number;
  /** A sharp look also takes the picture in tiles: for models of a fixed size. */
  readonly sharpTiles: boolean;
  /** Time between two looks at the picture on its side; 0 for none. */
  readonly turnEverySeconds: number;
  /** Below it, a detection says nothing. */
  readonly minScore: number;
  readonly tracker: Omit<TrackerOptions, 'maxLostFrames'>;
}

/** For detectors that a user brings: these models are not here to be tuned on. What they publish is a floor of 0.5. */
const BROUGHT: FileTuning = {
  detectEverySeconds: 1 / 6,
  inputPx: 640,
  sharpEverySeconds: 1 / 2,
  sharpInputPx: 1280,
  sharpTiles: false,
  turnEverySeconds: 1,
  minScore: 0.2,
  tracker: {
    highScore: 0.4,
    birthScore: 0.3,
    belief: { neutralScore: 0.35, largeNeutralScore: 0.5, missCost: 0.1, enough: 0.2, sureScore: 0.8 },
  },
};

const FILE_TUNING: Readonly<Record<ModelEntry['family'], FileTuning>> = {
  yunet: {
    detectEverySeconds: 1 / 6,
    inputPx: 640,
    sharpEverySeconds: 1 / 2,
    sharpInputPx: 1280,
    sharpTiles: false,
    turnEverySeconds: 1,
    minScore: 0.1,
    tracker: {
      highScore: 0.3,
      birthScore: 0.15,
      belief: { neutralScore: 0.2, largeNeutralScore: 0.65, missCost: 0.15, enough: 0.4, sureScore: 0.75 },
    },
  },
  'ssd-mobilenet-v1': {
    detectEverySeconds: 1 / 5,
    inputPx: 512,
    // Its input is small: in tiles it finds half as many small faces more, for a fifth more time.
    sharpEverySeconds: 1,
    sharpInputPx: 512,
    sharpTiles: true,
    turnEverySeconds: 0,
    minScore: 0.1,
    tracker: {
      highScore: 0.3,
      birthScore: 0.15,
      // It looks seldom and misses more than YuNet: what it half sees is believed.
      belief: { neutralScore: 0.15, largeNeutralScore: 0.15, missCost: 0, enough: 0.1, sureScore: 0.8 },
    },
  },
  'tiny-face': BROUGHT,
  scrfd: BROUGHT,
  'yolo-face': BROUGHT,
  retinaface: BROUGHT,
};

export function fileTuning(entry: ModelEntry): FileTuning {
  return FILE_TUNING[entry.family];
}

/** How one family of detectors is used on live streams: what bench/live-engine found to leak least for what it covers. */
export interface LiveTuning {
  /** The longer side of the picture as the detector sees it. Load never lowers it. */
  readonly inputPx: number;
  readonly minScore: number;
  readonly tracker: TrackerOptions;
}

/** A second at 30 frames a second. */
const LIVE_LOST_FRAMES = 30;

const BROUGHT_LIVE: LiveTuning = {
  inputPx: BROUGHT.inputPx,
  minScore: BROUGHT.minScore,
  tracker: { ...BROUGHT.tracker, maxLostFrames: LIVE_LOST_FRAMES },
};

const LIVE_TUNING: Readonly<Record<ModelEntry['family'], LiveTuning>> = {
  yunet: {
    inputPx: 640,
    minScore: 0.1,
    tracker: {
      highScore: 0.3,
      birthScore: 0.15,
      // What is believed late can't be covered backwards as far as in a file, so less is asked of one look.
      belief: { neutralScore: 0.15, largeNeutralScore: 0.5, missCost: 0.1, enough: 0.2, sureScore: 0.75 },
      maxLostFrames: LIVE_LOST_FRAMES,
    },
  },
  'ssd-mobilenet-v1': {
    inputPx: 512,
    minScore: 0.1,
    tracker: { ...FILE_TUNING['ssd-mobilenet-v1'].tracker, maxLostFrames: LIVE_LOST_FRAMES },
  },
  'tiny-face': BROUGHT_LIVE,
  scrfd: BROUGHT_LIVE,
  'yolo-face': BROUGHT_LIVE,
  retinaface: BROUGHT_LIVE,
};

export function liveTuning(entry: ModelEntry): LiveTuning {
  return LIVE_TUNING[entry.family];
}
