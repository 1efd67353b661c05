// The entry point of the process that reads still pictures: it parses strangers' files, so it is one that can be lost.
import { AV_LOG_QUIET, Log } from 'node-av';
import { ModelError } from '../../models/errors.ts';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { resolveDetector } from '../../models/resolve.ts';
import type { Detector } from '../detect/detector.ts';
import { openDetector } from '../detect/open-detector.ts';
import { asInferenceError, InferenceError } from '../errors.ts';
import { decodeImage } from './decode-image.ts';
import type { FromImageProcess, ImageFaces, ToImageProcess } from './image-messages.ts';
import { detectInStill } from './still-detection.ts';

const DETECTOR_THREADS = 2;

class ImageProcess {
  #model: { readonly entry: ModelEntry; readonly detector: Detector } | undefined;

  async receive(message: ToImageProcess): Promise<void> {
    try {
      if (message.type === 'prepare') tell(await this.#prepare(message.models));
      else tell({ type: 'found', faces: await this.#detect(message.image) });
    } catch (error) {
      const code = error instanceof ModelError ? 'model-unusable' : 'run-failed';
      const failure = asInferenceError(error, code, code === 'model-unusable' ? 'models' : 'the picture');
      tell({ type: 'failed', code: failure.code, message: failure.message });
    }
  }

  async #prepare(models: ModelLocations): Promise<FromImageProcess> {
    const { entry, bytes } = await resolveDetector(models, (message) => tell({ type: 'warning', message }));
    this.#model = { entry, detector: await openDetector(entry, bytes, DETECTOR_THREADS) };
    return { type: 'prepared' };
  }

  async #detect(image: Uint8Array): Promise<ImageFaces> {
    if (!this.#model) throw new InferenceError('run-failed', 'no model is loaded');
    const { entry, detector } = this.#model;
    const startedMs = performance.now();
    const picture = decodeImage(image);
    try {
      const { width, height } = picture;
      const faces = await detectInStill(detector, entry, picture);
      return { width, height, faces, model: detector.name, tookMs: performance.now() - startedMs };
    } finally {
      picture.free();
    }
  }
}

function tell(message: FromImageProcess): void {
  // A channel that is closed means the parent is gone, which 'disconnect' deals with.
  if (process.connected) process.send?.(message);
}

Log.setLevel(AV_LOG_QUIET);
process.once('disconnect', () => process.exit(1));
// What the terminal sends to the whole group is the parent's to answer.
process.on('SIGINT', () => undefined);
const images = new ImageProcess();
process.on('message', (message: ToImageProcess) => void images.receive(message));
