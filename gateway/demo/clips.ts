import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { blurFile } from '../../inference/blur-file.ts';
import { InferenceError } from '../../inference/errors.ts';
import type { ModelLocations } from '../../models/locations.ts';
import type { ClipLimits } from '../config.ts';
import { GatewayError, isInputFault } from '../errors.ts';
import { Clip, type ClipView } from './clip.ts';
import { eraseLeftovers, markOwned } from './leftovers.ts';
import { tooLarge, writeUpload } from './upload.ts';

const UPLOAD_IDLE_MS = 30_000;
/** How long an erasure waits for the engine to let go of the files; a killed child takes far less. */
const ENGINE_STOP_MS = 3000;
const RETRY_AFTER_SECONDS = 15;

export interface ClipsOptions extends ClipLimits {
  readonly dataDir: string;
  readonly models: ModelLocations;
  readonly blurFile: typeof blurFile;
  readonly log: Logger;
}

/** The start page's clips: takes uploads in, blurs one at a time, erases each when asked, after a while, or at close. */
export class Clips {
  readonly #options: ClipsOptions;
  readonly #parent: string;
  readonly #clips = new Map<string, Clip>();
  readonly #expiries = new Map<string, NodeJS.Timeout>();
  readonly #queue: Clip[] = [];
  readonly #uploads = new Set<Promise<Clip>>();
  readonly #uploadsEnd = new AbortController();
  #running: { readonly clip: Clip; readonly ended: Promise<void> } | null = null;
  #closing: Promise<void> | undefined;

  static async create(options: ClipsOptions): Promise<Clips> {
    const parent = join(options.dataDir, 'demo');
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await eraseLeftovers(parent, options.lifetimeMs);
    return new Clips(options, parent);
  }

  private constructor(options: ClipsOptions, parent: string) {
    this.#options = options;
    this.#parent = parent;
  }

  /**
   * Stores one upload and queues it.
   * @param declaredBytes the request's Content-Length, to refuse a large one before a byte is read
   * @throws GatewayError 'queue-full' | 'closed', and those of `writeUpload`; nothing is left on disk then
   */
  async receive(body: ReadableStream, declaredBytes: number | null): Promise<ClipView> {
    const { maxUploadBytes, maxQueued } = this.#options;
    if (this.#closing) throw shuttingDown();
    if (declaredBytes !== null && declaredBytes > maxUploadBytes) throw tooLarge(maxUploadBytes);
    if (this.#uploads.size + this.#queue.length >= maxQueued) {
      throw new GatewayError('queue-full', 'too many clips are waiting; try again soon', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const upload = this.#store(body);
    this.#uploads.add(upload);
    const clip = await upload.finally(() => this.#uploads.delete(upload));
    this.#clips.set(clip.id, clip);
    this.#queue.push(clip);
    this.#startNext();
    this.#eraseSurplus();
    return clip.view();
  }

  /** @throws GatewayError 'clip-not-found' */
  get(id: string): ClipView {
    return this.#find(id).view();
  }

  /**
   * Path of a finished clip.
   * @throws GatewayError 'clip-not-found' | 'clip-not-done'
   */
  outputOf(id: string): string {
    const clip = this.#find(id);
    if (clip.state !== 'done') throw new GatewayError('clip-not-done', `the clip is ${clip.state}, not done`);
    return clip.output;
  }

  /**
   * Stops the clip's job, waits for it to let go, and erases its files.
   * @throws GatewayError 'clip-not-found'
   */
  async erase(id: string): Promise<void> {
    const clip = this.#find(id);
    clip.cancelled();
    const place = this.#queue.indexOf(clip);
    if (place >= 0) this.#queue.splice(place, 1);
    if (this.#running?.clip === clip)
      await Promise.race([this.#running.ended, delay(ENGINE_STOP_MS, undefined, { ref: false })]);
    clearTimeout(this.#expiries.get(id));
    this.#expiries.delete(id);
    this.#clips.delete(id);
    await rm(clip.folder, { recursive: true, force: true });
    this.#options.log.info({ clipId: id }, 'clip erased');
  }

  /** Ends uploads and jobs and erases every clip. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#uploadsEnd.abort();
    await Promise.allSettled(this.#uploads);
    await Promise.all([...this.#clips.keys()].map((id) => this.erase(id)));
  }

  async #store(body: ReadableStream): Promise<Clip> {
    const clip = new Clip(this.#parent);
    const options = {
      maxBytes: this.#options.maxUploadBytes,
      idleMs: UPLOAD_IDLE_MS,
      signal: this.#uploadsEnd.signal,
    };
    try {
      await mkdir(clip.folder, { mode: 0o700 });
      await markOwned(clip.folder);
      await writeUpload(body, clip.input, options);
      if (this.#closing) throw shuttingDown();
      return clip;
    } catch (error) {
      await rm(clip.folder, { recursive: true, force: true });
      throw error;
    }
  }

  #find(id: string): Clip {
    const clip = this.#clips.get(id);
    if (!clip) throw new GatewayError('clip-not-found', 'there is no such clip; clips are erased after a while');
    return clip;
  }

  #startNext(): void {
    if (this.#running || this.#closing) return;
    const clip = this.#queue.shift();
    if (!clip) return;
    clip.started();
    const ended = this.#blur(clip).finally(() => {
      this.#running = null;
      if (this.#clips.has(clip.id)) this.#expire(clip.id);
      this.#startNext();
    });
    this.#running = { clip, ended };
  }

  async #blur(clip: Clip): Promise<void> {
    const { blurFile, models } = this.#options;
    const log = this.#options.log.child({ clipId: clip.id });
    log.info('blurring started');
    const hooks = {
      onProgress: (progress: Parameters<Clip['progressed']>[0]) => clip.progressed(progress),
      onWarning: (message: string) => log.warn({ warning: withoutPaths(message, clip) }, 'the engine warns'),
      signal: clip.abort.signal,
    };
    const outcome = await blurFile({ input: clip.input, output: clip.output, models }, hooks).catch(asError);
    await rm(clip.input, { force: true }).catch((error) => log.error({ err: error }, 'upload not erased'));
    if (clip.ended) return;
    if (!(outcome instanceof Error)) {
      clip.done(outcome);
      log.info({ frames: outcome.frames, faces: outcome.faces, durationMs: outcome.durationMs }, 'blurring done');
      return;
    }
    const { code, message } = describe(outcome, clip);
    clip.failed(code, message);
    log[isInputFault(outcome) ? 'info' : 'error'](
      { code, reason: withoutPaths(outcome.message, clip) },
      'blurring failed',
    );
  }

  #expire(id: string): void {
    const erase = () => this.erase(id).catch((error) => this.#options.log.error({ err: error }, 'clip not erased'));
    this.#expiries.set(id, setTimeout(erase, this.#options.lifetimeMs).unref());
  }

  #eraseSurplus(): void {
    const ended = [...this.#clips.values()].filter((clip) => clip.ended);
    for (const clip of ended.slice(0, Math.max(0, ended.length - this.#options.maxKept))) {
      this.erase(clip.id).catch((error) => this.#options.log.error({ err: error }, 'clip not erased'));
    }
  }
}

function shuttingDown(): GatewayError {
  return new GatewayError('closed', 'the server is shutting down', { retryAfterSeconds: 5 });
}

/** What the client is told: the reason when the clip is at fault, else only that the server failed. */
function describe(error: Error, clip: Clip): { code: string; message: string } {
  if (!(error instanceof InferenceError)) return { code: 'internal', message: 'the server could not blur this clip' };
  const message = isInputFault(error) ? withoutPaths(error.message, clip) : 'the server could not blur this clip';
  return { code: error.code, message };
}

function withoutPaths(message: string, clip: Clip): string {
  return message.replaceAll(clip.input, 'the clip').replaceAll(clip.output, 'the result').replaceAll(clip.folder, '');
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
