import { InferenceError } from '../../inference/errors.ts';
import type { ImageFaces } from '../../inference/image/image-engine.ts';
import type { Detection } from '../../inference/track/box.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { loadEngineConfig } from '../config.ts';
import { exitCodeOf, GatewayError } from '../errors.ts';
import { Interrupt } from './interrupt.ts';
import { readImageFile } from './read-image-file.ts';
import { wantedModels } from './wanted-models.ts';

/** Options of `faceblur detect`. */
export interface DetectCommand {
  readonly json?: boolean;
}

/**
 * Finds the faces in still pictures and prints them as they come. A picture that can't be read is told on stderr, and
 * the others still have their turn.
 * @returns the exit code: 0, 2 when a picture can't be read, 1 when we failed on one, or 128 + the number of a signal
 * @throws GatewayError 'bad-config', or InferenceError when there is no detector to work with
 */
export async function runDetect(paths: readonly string[], { json = false }: DetectCommand): Promise<number> {
  const { modelLocations } = loadEngineConfig();
  const { detector } = wantedModels(modelLocations);
  // Loaded only here, so that help and refusals need no engine.
  const { ImageEngine } = await import('../../inference/image/image-engine.ts');
  const engine = new ImageEngine(modelLocations, (message) => warn(`warning: ${message}`));
  const interrupt = new Interrupt();
  interrupt.signal.addEventListener('abort', () => void engine.close());
  const output = json ? new JsonOutput() : new TextOutput();
  const exitCodes = new Set<number>();
  try {
    for (const path of paths) {
      try {
        output.found(path, await engine.detectFaces(await readImageFile(path)));
      } catch (error) {
        if (interrupt.exitCode !== null) break;
        if (isModelFault(error)) throw asUserFault(error, detector);
        const message = error instanceof Error ? error.message : String(error);
        warn(`${path}: ${message}`);
        output.failed(path, message);
        exitCodes.add(exitCodeOf(error));
      }
    }
    if (interrupt.exitCode !== null) {
      warn('stopped');
      return interrupt.exitCode;
    }
    return [1, 2].find((code) => exitCodes.has(code)) ?? 0;
  } finally {
    output.end();
    interrupt.close();
    await engine.close();
  }
}

/** No picture is to blame, and none will fare better. */
function isModelFault(error: unknown): error is InferenceError {
  return error instanceof InferenceError && error.code === 'model-unusable';
}

/** A model that the user brought is the user's to mend. */
function asUserFault(error: InferenceError, { source }: ModelEntry): Error {
  return source.type === 'file' ? new GatewayError('bad-config', error.message, { cause: error }) : error;
}

function warn(message: string): void {
  process.stderr.write(`faceblur: ${message}\n`);
}

/** One line a picture and one a face. */
class TextOutput {
  found(path: string, { width, height, faces, model, tookMs }: ImageFaces): void {
    const count = `${faces.length} face${faces.length === 1 ? '' : 's'}`;
    const lines = faces.map(({ x, y, w, h, score }) => {
      const [left, top, right, bottom] = [x, y, w, h].map(Math.round);
      return `  ${score.toFixed(2)}  at ${left},${top}  ${right}×${bottom}\n`;
    });
    const summary = `${path}: ${count} (${width}×${height}, ${model}, ${Math.round(tookMs)} ms)\n`;
    process.stdout.write(summary + lines.join(''));
  }

  failed(): void {}

  end(): void {}
}

/** One array; an object a picture, each on a line of its own. */
class JsonOutput {
  #isEmpty = true;

  found(path: string, { width, height, faces, model, tookMs }: ImageFaces): void {
    this.#write({ path, width, height, faces: faces.map(faceJson), model, tookMs: rounded(tookMs, 1) });
  }

  failed(path: string, error: string): void {
    this.#write({ path, error });
  }

  end(): void {
    process.stdout.write(this.#isEmpty ? '[]\n' : '\n]\n');
  }

  #write(item: object): void {
    process.stdout.write(`${this.#isEmpty ? '[\n' : ',\n'}${JSON.stringify(item)}`);
    this.#isEmpty = false;
  }
}

function faceJson({ x, y, w, h, score, landmarks }: Detection): object {
  return {
    box: [x, y, w, h].map((value) => rounded(value, 1)),
    score: rounded(score, 4),
    landmarks: landmarks?.map((point) => point.map((value) => rounded(value, 1))) ?? null,
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
