import { subtle } from 'node:crypto';
import type { ImageEngine, ImageOptions } from '../../inference/image/image-engine.ts';
import type { StillModelNames } from '../../inference/image/still-model-names.ts';
import { checkImage } from './image-check.ts';
import type { ResultCache, ResultCacheStats } from './result-cache.ts';
import { clientGone, toStillError } from './still-errors.ts';
import { type AnalyseView, analyseView, type DetectView, detectView, type EmbedView, embedView } from './views.ts';

/** A picture of a request. */
export interface Still {
  /** As the client called it: `image`, `b[2]`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What was found in one picture. */
export interface StillAnswer<View> {
  readonly view: View;
  /** Whether it was known already. */
  readonly isHit: boolean;
  readonly tookMs: number;
}

export interface StillsOptions {
  readonly engine: Pick<ImageEngine, 'detectFaces' | 'embedFaces' | 'analyseFaces'>;
  /** Which models the engine uses. */
  readonly modelNames: () => Promise<StillModelNames>;
  readonly cache: ResultCache;
}

/** Of all that changes an answer and is no model: a new number where code does. */
const FORM = 1;

/**
 * Answers what is in still pictures, each picture once for as long as the cache keeps it. Does not close what it is given.
 * @throws GatewayError as `checkImage` and `toStillError` make them: all of its questions
 */
export class Stills {
  readonly #options: StillsOptions;
  #names: Promise<StillModelNames> | undefined;

  constructor(options: StillsOptions) {
    this.#options = options;
  }

  get stats(): ResultCacheStats {
    return this.#options.cache.stats;
  }

  detect(still: Still, options: ImageOptions): Promise<StillAnswer<DetectView>> {
    return this.#answer('detect', still, options, async ({ detector }) => {
      const result = await this.#options.engine.detectFaces(still.bytes, { ...options, landmarks: true });
      return { view: detectView(result), isExpected: result.model === detector };
    });
  }

  embed(still: Still, options: ImageOptions): Promise<StillAnswer<EmbedView>> {
    return this.#answer('embed', still, options, async ({ detector, recogniser }) => {
      const result = await this.#options.engine.embedFaces(still.bytes, options);
      return { view: embedView(result), isExpected: result.detector === detector && result.model === recogniser };
    });
  }

  analyse(still: Still, options: ImageOptions): Promise<StillAnswer<AnalyseView>> {
    return this.#answer('analyse', still, options, async ({ detector }) => {
      const result = await this.#options.engine.analyseFaces(still.bytes, options);
      return { view: analyseView(result), isExpected: result.detector === detector };
    });
  }

  /** Erases all that is kept of a picture. @param sha256 of its bytes, 64 lower-case hex digits */
  forget(sha256: string): Promise<void> {
    return this.#options.cache.erase(sha256);
  }

  async #answer<View>(
    question: string,
    { name, bytes }: Still,
    { signal }: ImageOptions,
    ask: (names: StillModelNames) => Promise<{ view: View; isExpected: boolean }>,
  ): Promise<StillAnswer<View>> {
    if (signal?.aborted) throw clientGone();
    checkImage(bytes, name);
    const startedMs = performance.now();
    try {
      const names = await this.#modelNames();
      const key = { subject: await sha256Of(bytes), question: `${question} ${FORM} ${names.fingerprint}` };
      let made: View | undefined;
      const { text, isHit } = await this.#options.cache.recall(key, async () => {
        const { view, isExpected } = await ask(names);
        made = view;
        // The engine found another model than we did, one that was fetched meanwhile.
        if (!isExpected) this.#names = undefined;
        return { text: JSON.stringify(view), isLasting: isExpected };
      });
      const view = made ?? (JSON.parse(text) as View);
      return { view, isHit, tookMs: performance.now() - startedMs };
    } catch (error) {
      throw toStillError(error, name);
    }
  }

  async #modelNames(): Promise<StillModelNames> {
    this.#names ??= this.#options.modelNames();
    try {
      return await this.#names;
    } catch (error) {
      this.#names = undefined;
      throw error;
    }
  }
}

/** Beside the main thread, which packets of streams wait for. */
async function sha256Of(bytes: Uint8Array): Promise<string> {
  // Never shared memory: it was read from a socket.
  return Buffer.from(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex');
}
