import type { BlurFileOptions, BlurFileResult } from '../../inference/blur-file.ts';
import type { VideoCodec } from '../../inference/media/output-kind.ts';
import type { BlurPolicy } from '../../inference/policy.ts';
import { loadEngineConfig } from '../config.ts';
import { GatewayError } from '../errors.ts';
import { checkBlurPaths } from './blur-paths.ts';
import { enrolPeople } from './enrol-people.ts';
import { Interrupt } from './interrupt.ts';
import { findPeople } from './people-photos.ts';
import { clock, ProgressBar } from './progress-bar.ts';
import { wantedModels } from './wanted-models.ts';

/** Options of `faceblur blur`, parsed and in range. */
export interface BlurCommand {
  readonly output: string;
  readonly style?: BlurPolicy['style'];
  readonly strength?: number;
  readonly margin?: number;
  readonly codec?: VideoCodec;
  readonly keepMetadata?: boolean;
  readonly report?: string;
  /** Photos of the people to keep visible. */
  readonly keep?: readonly string[];
  /** Photos of the only people to cover. */
  readonly only?: readonly string[];
  readonly quiet?: boolean;
}

/**
 * Blurs one file, with progress on stderr where that is a terminal, and a last line on stdout that says what was done.
 * @returns the exit code: 0, or 128 + the number of the signal that stopped it
 * @throws GatewayError 'bad-argument' | 'bad-config', or the engine's InferenceError
 */
export async function runBlur(input: string, command: BlurCommand): Promise<number> {
  const { modelLocations: models } = loadEngineConfig();
  wantedModels(models);
  const { output, report, style, strength, margin, codec, keepMetadata, keep = [], only = [], quiet } = command;
  const paths = checkBlurPaths({ input, output, report });
  if (keep.length > 0 && only.length > 0) {
    throw new GatewayError(
      'bad-argument',
      '--keep and --only contradict each other; who is not kept is covered anyway',
    );
  }
  const mode = only.length > 0 ? 'only' : 'except';
  const shown = findPeople([...keep, ...only]);
  const options: BlurFileOptions = { ...paths, models, codec, keepMetadata, policy: { style, strength, margin } };

  // Loaded only here, so that help and refusals need no engine.
  const { blurFile } = await import('../../inference/blur-file.ts');
  const interrupt = new Interrupt();
  const bar = new ProgressBar(process.stderr, !quiet);
  const startedAtMs = performance.now();
  try {
    const people = shown.length > 0 ? await enrolPeople(mode, shown, models, interrupt.signal) : undefined;
    const result = await blurFile(people ? { ...options, people } : options, {
      onProgress: (progress) => bar.draw(progress),
      onWarning: (message) => {
        bar.clear();
        process.stderr.write(`faceblur: warning: ${message}\n`);
      },
      signal: interrupt.signal,
    });
    bar.clear();
    if (!quiet) process.stdout.write(`${summary(result, output, performance.now() - startedAtMs)}\n`);
    return 0;
  } catch (error) {
    bar.clear();
    const stopped = interrupt.exitCode;
    if (stopped === null) throw error;
    process.stderr.write('faceblur: stopped; nothing was written\n');
    return stopped;
  } finally {
    interrupt.close();
  }
}

/** `out.mp4: 3 faces covered and 1 shown in 180 frames (1280×720, 0:06) at 93 fps`. */
function summary(result: BlurFileResult, output: string, tookMs: number): string {
  const { faces, shown, frames, width, height, durationMs, coveredWhole } = result;
  const fps = tookMs > 0 ? Math.round((frames * 1000) / tookMs) : 0;
  const whole = coveredWhole > 0 ? `; ${count(coveredWhole, 'frame')} covered whole` : '';
  const clip = `${count(frames, 'frame')} (${width}×${height}, ${clock(durationMs)})`;
  const seen = shown === undefined ? '' : ` and ${shown} shown`;
  return `${output}: ${count(faces, 'face')} covered${seen} in ${clip} at ${fps} fps${whole}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
