import { access, copyFile } from 'node:fs/promises';
import type { BlurFileOptions, BlurFileResult, BlurProgress, blurFile } from '../../inference/blur-file.ts';
import { InferenceError } from '../../inference/errors.ts';

const RESULT: BlurFileResult = {
  frames: 90,
  durationMs: 3000,
  faces: 2,
  width: 320,
  height: 240,
  fps: 30,
  detector: 'fake',
  coveredWhole: 0,
};

/** One call that the fake engine was given; it goes on until told how to end, or aborted. */
export interface FakeCall {
  readonly options: BlurFileOptions;
  readonly progress: (progress: Partial<BlurProgress>) => void;
  readonly finish: () => void;
  readonly fail: (error: Error) => void;
}

/** Stands in for the engine where a test is about routes and jobs. Its result is a copy of the input. */
export class FakeEngine {
  readonly calls: FakeCall[] = [];
  running = 0;
  mostRunning = 0;

  readonly blurFile: typeof blurFile = async (options, hooks = {}) => {
    await access(options.input);
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await new Promise<void>((resolve, reject) => {
        if (hooks.signal?.aborted) reject(new InferenceError('aborted', 'stopped'));
        const base: BlurProgress = { frames: 0, totalFrames: 90, fps: 0, etaMs: null, stage: 'blurring' };
        this.calls.push({
          options,
          progress: (progress) => hooks.onProgress?.({ ...base, ...progress }),
          finish: resolve,
          fail: reject,
        });
        hooks.signal?.addEventListener('abort', () => reject(new InferenceError('aborted', 'stopped')));
      });
      await copyFile(options.input, options.output);
      return RESULT;
    } finally {
      this.running -= 1;
    }
  };
}
