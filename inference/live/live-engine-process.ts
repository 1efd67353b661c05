import { AV_LOG_QUIET, Log } from 'node-av';
import { ModelError } from '../../models/errors.ts';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { resolveDetector } from '../../models/resolve.ts';
import type { Detector } from '../detect/detector.ts';
import { openDetector } from '../detect/open-detector.ts';
import { liveTuning } from '../detect/tuning.ts';
import { asInferenceError } from '../errors.ts';
import type { CodedAudio } from './coded-media.ts';
import type { EngineStart, FromEngine, Taken, ToEngine } from './engine-messages.ts';
import { LiveJob } from './live-job.ts';
import { openRecogniser } from './open-recogniser.ts';
import { OpusTranscoder } from './opus-transcoder.ts';

// The entry point of a live engine's own process: it prepares its model, waits for a stream, and works until it is killed.

const DETECTOR_THREADS = 1;
const STATS_INTERVAL_MS = 1000;

/** One engine's process, from its first message on. */
class EngineProcess {
  readonly #taken = { video: 0, audio: 0 };
  #told: Taken = { video: 0, audio: 0 };
  #model: { entry: ModelEntry; detector: Detector; models: ModelLocations } | undefined;
  #job: LiveJob | undefined;
  #opus: OpusTranscoder | null = null;

  receive(message: ToEngine): void {
    switch (message.type) {
      case 'prepare':
        void this.#prepare(message.models).catch((error: unknown) => this.#fail(error));
        break;
      case 'start':
        this.#start(message.options);
        break;
      case 'video':
        this.#job?.push(message.frame, message.sentMs);
        this.#tellTaken();
        break;
      case 'audio':
        this.#transcode(message.packet);
        break;
      case 'loss':
        this.#job?.loss();
        break;
      case 'policy':
        this.#job?.setPolicy(message.policy);
        break;
      case 'visible': {
        const done = this.#job?.setVisible(message.track, message.visible) ?? false;
        tell({ type: 'visible-set', request: message.request, done });
        break;
      }
      case 'faces':
        void this.#faces(message.request);
        break;
      case 'keyframe':
        this.#job?.requestKeyframe();
        break;
      case 'bitrate':
        this.#job?.setBitrate(message.bitrateBps);
        break;
    }
  }

  async #prepare(models: ModelLocations): Promise<void> {
    const { entry, bytes } = await resolveDetector(models, () => undefined);
    this.#model = { entry, detector: await openDetector(entry, bytes, DETECTOR_THREADS), models };
    tell({ type: 'prepared' });
  }

  #start(options: EngineStart): void {
    const model = this.#model;
    if (!model || this.#job) return;
    try {
      this.#opus = options.audio && OpusTranscoder.open(options.audio);
      const recogniser = () => openRecogniser(model.models);
      const job = new LiveJob(options, model.detector, liveTuning(model.entry), recogniser, {
        onVideo: (frame) => tell({ type: 'video', frame, taken: this.#takenNow() }),
        onTaken: () => {
          this.#taken.video++;
          // What left with a picture has been told already.
          queueMicrotask(() => this.#tellTaken());
        },
        onKeyframeNeeded: () => tell({ type: 'keyframe-needed' }),
        onFaces: (faces) => tell({ type: 'faces', faces }),
        onFailed: (error) => this.#fail(error),
      });
      this.#job = job;
      setInterval(() => tell({ type: 'stats', stats: job.stats() }), STATS_INTERVAL_MS);
      tell({ type: 'ready' });
    } catch (error) {
      this.#fail(error);
    }
  }

  #transcode(packet: CodedAudio): void {
    this.#taken.audio++;
    try {
      for (const coded of this.#opus?.transcode(packet) ?? []) {
        tell({ type: 'audio', packet: coded, taken: this.#takenNow() });
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#tellTaken();
  }

  async #faces(request: number): Promise<void> {
    tell({ type: 'thumbnails', request, faces: (await this.#job?.faces()) ?? [] });
  }

  #takenNow(): Taken {
    this.#told = { ...this.#taken };
    return this.#told;
  }

  #tellTaken(): void {
    if (this.#told.video === this.#taken.video && this.#told.audio === this.#taken.audio) return;
    tell({ type: 'taken', taken: this.#takenNow() });
  }

  #fail(error: unknown): void {
    const code = error instanceof ModelError ? 'model-unusable' : 'run-failed';
    const failure = asInferenceError(error, code, code === 'model-unusable' ? 'models' : 'the engine failed');
    tell({ type: 'failed', code: failure.code, message: failure.message });
  }
}

function tell(message: FromEngine): void {
  // A channel that is closed means the parent is gone, which 'disconnect' deals with.
  if (process.connected) process.send?.(message);
}

Log.setLevel(AV_LOG_QUIET);
// A parent that died can't end us any more.
process.once('disconnect', () => process.exit(1));
// What the terminal sends to the whole group is the parent's to answer.
process.on('SIGINT', () => undefined);
const engine = new EngineProcess();
process.on('message', (message: ToEngine) => engine.receive(message));
