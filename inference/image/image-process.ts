// The entry point of the process that reads still pictures: it parses strangers' files, so it is one that can be lost.
import { AV_LOG_QUIET, Log } from 'node-av';
import { ModelError } from '../../models/errors.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { asInferenceError, InferenceError } from '../errors.ts';
import type { FromImageProcess, ImageQuestion, ToImageProcess } from './image-messages.ts';
import { StillModels } from './still-models.ts';
import { analyseFaces, detectFaces, embedFaces } from './still-recognition.ts';

class ImageProcess {
  #models: StillModels | undefined;

  async receive(message: ToImageProcess): Promise<void> {
    try {
      if (message.type === 'prepare') tell(await this.#prepare(message.models));
      else tell(await this.#answer(message));
    } catch (error) {
      const code = error instanceof ModelError ? 'model-unusable' : 'run-failed';
      const failure = asInferenceError(error, code, code === 'model-unusable' ? 'models' : 'the picture');
      tell({ type: 'failed', code: failure.code, message: failure.message });
    }
  }

  async #prepare(locations: ModelLocations): Promise<FromImageProcess> {
    this.#models = new StillModels(locations, (message) => tell({ type: 'warning', message }));
    await this.#models.detector();
    return { type: 'prepared' };
  }

  async #answer(question: ImageQuestion): Promise<FromImageProcess> {
    if (!this.#models) throw new InferenceError('run-failed', 'no model is loaded');
    switch (question.type) {
      case 'detect':
        return { type: 'found', result: await detectFaces(this.#models, question.image, question.landmarks) };
      case 'embed':
        return { type: 'embedded', result: await embedFaces(this.#models, question.image, question.thumbnails) };
      case 'analyse':
        return { type: 'analysed', result: await analyseFaces(this.#models, question.image) };
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
