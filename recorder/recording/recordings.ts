import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Backoff } from '../../sfu/pull/backoff.ts';
import type { LiveStream } from '../../sfu/stream-types.ts';
import { RecorderError } from '../errors.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { finalise } from './finaliser.ts';
import { LiveWindow, type WindowSegment } from './live-window.ts';
import { OpenRecording } from './open-recording.ts';
import { RECORDING_ID, type RecordingChanges, type RecordingRows, type RecordingState } from './recording.ts';
import { recordingKey, recordingPrefix, SegmentDelivery } from './segment-delivery.ts';
import { SegmentSpool, type SpoolHead } from './segment-spool.ts';
import { StreamRecorder } from './stream-recorder.ts';

/** How far viewers of a live stream can go back. */
const WINDOW_MS = 30 * 60_000;
/** A segment that left the window is still fetched by players that read the playlist before. */
const LEFT_MS = 60_000;
/** What waits for the store, of one recording, unless told otherwise. */
const MAX_SPOOL_BYTES = 512 << 20;
/** Attempts to make one file while the store or the database is away; then it stays as it is until the next start. */
const FINALISE_RETRY = { firstMs: 500, maxMs: 30_000, steadyMs: Number.POSITIVE_INFINITY };
const MAX_ATTEMPTS = 40;
/** Attempts where it is not for others to mend. */
const MAX_OWN_ATTEMPTS = 3;
/** What is under way when the server closes may take so long to be stored; the rest is done at the next start. */
const DRAIN_MS = 8_000;

const PROCESS_DIED = 'the gateway died meanwhile';

export interface RecordingsOptions {
  readonly store: ObjectStore;
  readonly rows: RecordingRows;
  /** Spools lie below it; one process's alone. */
  readonly folder: string;
  readonly ffmpegPath: string;
  readonly segmentMs: number;
  readonly maxSpoolBytes?: number;
  readonly log: Logger;
}

export interface RecordingEvent {
  readonly stream: string;
  readonly recording: string;
  readonly state: RecordingState;
  readonly reason: string | null;
}

interface PackagedStream {
  readonly live: LiveStream;
  readonly recorder: StreamRecorder;
  readonly window: LiveWindow;
  record: boolean;
}

/**
 * Records the streams that are to be recorded, and packages those that are watched by HLS. What a process that died was
 * recording is finished from what is there.
 */
export class Recordings {
  readonly #options: RecordingsOptions;
  readonly #streams = new Map<string, PackagedStream>();
  /** What is being brought to its end, by id. */
  readonly #ending = new Map<string, { readonly done: Promise<void>; readonly abort: AbortController }>();
  readonly #open = new Map<string, OpenRecording>();
  readonly #listeners = new Set<(event: RecordingEvent) => void>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #finalising: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(options: RecordingsOptions) {
    this.#options = options;
  }

  /** Begins to finish what the process before has left, and does not wait for it. */
  static async create(options: RecordingsOptions): Promise<Recordings> {
    const recordings = new Recordings(options);
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    for (const entry of await readdir(options.folder, { withFileTypes: true })) {
      if (entry.isDirectory() && RECORDING_ID.test(entry.name)) recordings.#recover(entry.name);
    }
    return recordings;
  }

  /** Segments last about this long. */
  get segmentMs(): number {
    return this.#options.segmentMs;
  }

  /** A stream was made, or restored. */
  added(live: LiveStream): void {
    const { record, hls } = live.settings;
    if (record || hls) this.changed(live);
  }

  /** Its settings may have changed. */
  changed(live: LiveStream): void {
    const { record, hls } = live.settings;
    const known = this.#streams.get(live.id);
    if (!known && !record && !hls) return;
    // A change of something else is no new request to record.
    if (known?.record === record) return;
    const packaged = known ?? this.#package(live);
    packaged.record = record;
    this.#streams.set(live.id, packaged);
    packaged.recorder.packageFor(record ? 'recording' : hls ? 'window' : null);
  }

  /** A stream is about to close for good. Its recordings stay. */
  removed(live: LiveStream): void {
    const packaged = this.#streams.get(live.id);
    this.#streams.delete(live.id);
    packaged?.recorder.close();
  }

  /** What viewers of a live stream can fetch; null while there is nothing. */
  windowOf(stream: string): LiveWindow | null {
    const window = this.#streams.get(stream)?.window;
    return window && window.segments.length > 0 ? window : null;
  }

  /** Of the ffmpeg that packages a stream now; for drills and measurements. */
  pidOf(stream: string): number | undefined {
    return this.#streams.get(stream)?.recorder.pid;
  }

  /** Hears how recordings go. @returns its unsubscribe */
  onState(listener: (event: RecordingEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Erases a recording: its objects, and then its row. One under way ends with it; the stream's next begins when it goes
   * live anew, or `record` is set anew.
   */
  async erase(id: string): Promise<void> {
    const open = this.#open.get(id);
    if (open) {
      const recorder = this.#streams.get(open.head.stream)?.recorder;
      if (recorder?.recording === open) recorder.giveUp('the recording was deleted');
    }
    const ending = this.#ending.get(id);
    ending?.abort.abort(new Error('the recording was deleted'));
    await ending?.done;
    await open?.stop();
    this.#open.delete(id);
    const { store, rows } = this.#options;
    for (const { window } of this.#streams.values()) window.forget(id);
    await store.deletePrefix(recordingPrefix({ id, isKept: true }));
    await this.#spoolOf(id).erase();
    await rows.remove(id);
  }

  /** Ends recordings, and stores what it can in a few seconds. What is left is finished at the next start. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Resolves when nothing is being finished any more. */
  async settled(): Promise<void> {
    while (this.#ending.size > 0) await Promise.all([...this.#ending.values()].map(({ done }) => done));
  }

  async #close(): Promise<void> {
    for (const { recorder } of this.#streams.values()) recorder.close();
    const deadline = performance.now() + DRAIN_MS;
    while ((this.#open.size > 0 || this.#ending.size > 0) && performance.now() < deadline) await sleep(20);
    for (const { abort } of this.#ending.values()) abort.abort(new Error('the server closes'));
    await Promise.all([...this.#open.values()].map((open) => open.stop()));
    await this.settled();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #package(live: LiveStream): PackagedStream {
    const { ffmpegPath, segmentMs, log } = this.#options;
    const recorder = new StreamRecorder({
      live,
      ffmpegPath,
      segmentMs,
      log: log.child({ streamId: live.id }),
      begin: (isKept) => this.#begin(live.id, isKept),
      onEnded: (recording) => this.#end(recording),
      onGivenUp: (recording, reason) => {
        if (recording?.isKept) this.#tell(recording.head, 'recording', reason);
      },
    });
    return { live, recorder, window: new LiveWindow(WINDOW_MS, (segment) => this.#left(segment)), record: false };
  }

  #begin(stream: string, isKept: boolean): OpenRecording {
    const { store, rows, folder, maxSpoolBytes = MAX_SPOOL_BYTES, log } = this.#options;
    const recording = new OpenRecording({
      ...{ stream, isKept, folder, store, rows, maxBytes: maxSpoolBytes, log },
      onStored: ({ id }, { number, part, durationMs }) => {
        this.#streams.get(stream)?.window.add({ recording: id, isKept, number, part, durationMs });
      },
      onOverflow: (_recording, reason) => this.#streams.get(stream)?.recorder.giveUp(reason),
    });
    this.#open.set(recording.id, recording);
    log.info({ streamId: stream, recording: recording.id, isKept }, 'recording started');
    if (isKept) this.#tell(recording.head, 'recording', null);
    return recording;
  }

  #end(recording: OpenRecording): void {
    const { id, head, isKept } = recording;
    const packaged = this.#streams.get(head.stream);
    // Whoever watches the next broadcast does not go back into this one.
    if (packaged && (!isKept || packaged.live.state === 'idle')) packaged.window.forget(id);
    if (recording.isStopped) {
      this.#open.delete(id);
      return;
    }
    this.#finish(id, async (signal) => {
      const stop = (): void => void recording.stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        await recording.end();
      } finally {
        this.#open.delete(id);
      }
      return recording.head;
    });
  }

  /** What is in a spool at the start was under way when the process before died. */
  #recover(id: string): void {
    const { store, rows, log } = this.#options;
    this.#finish(id, async (signal) => {
      const spool = this.#spoolOf(id);
      const left = await spool.readHead();
      if (!left) {
        await spool.erase();
        return null;
      }
      log.info({ recording: id, streamId: left.stream }, 'a recording that was interrupted is finished');
      const reason = left.reason ?? (left.isEnded ? null : PROCESS_DIED);
      const head = { ...left, isEnded: true, reason };
      if (!head.isKept) return head;
      const options = { head, spool, store, rows, maxBytes: Number.POSITIVE_INFINITY, log };
      const delivery = new SegmentDelivery({ ...options, onStored: () => {}, onOverflow: () => {} }, true);
      const stop = (): void => void delivery.stop();
      signal.addEventListener('abort', stop, { once: true });
      await delivery.resume();
      await delivery.drained();
      return head;
    });
  }

  /** @param collect resolves when all that was packaged is stored; to null where there is nothing to finish */
  #finish(id: string, collect: (signal: AbortSignal) => Promise<SpoolHead | null>): void {
    const { log } = this.#options;
    const abort = new AbortController();
    const work = async (): Promise<void> => {
      const head = await collect(abort.signal);
      if (!head) return;
      if (head.isKept) await this.#conclude(head, abort.signal);
      else await this.#discard(head);
    };
    const done = work()
      .catch((error) => {
        if (!abort.signal.aborted) log.error({ err: error, recording: id }, 'a recording could not be finished');
      })
      .finally(() => this.#ending.delete(id));
    this.#ending.set(id, { done, abort });
  }

  /** Until it is done, or the process ends. */
  async #conclude(head: SpoolHead, signal: AbortSignal): Promise<void> {
    const { rows } = this.#options;
    const { id, reason } = head;
    await this.#retry(signal, id, () => this.#update(head, { state: 'finalising', reason, endedAt: new Date() }));
    // One at a time: each takes disk, and ffmpeg a core.
    const turn = this.#finalising.then(() => this.#makeFiles(head, signal));
    this.#finalising = turn.catch(() => undefined);
    await turn;
    await this.#retry(signal, id, async () => {
      const segments = await rows.segments(id);
      if (segments.length === 0) await this.#update(head, { state: 'failed', reason: reason ?? 'nothing came' });
    });
    await this.#spoolOf(id).erase();
  }

  async #makeFiles(head: SpoolHead, signal: AbortSignal): Promise<void> {
    const { id, reason } = head;
    const folder = join(this.#options.folder, id, 'files');
    try {
      const count = await this.#retry(signal, id, () => finalise(id, folder, this.#options, signal));
      if (count === 0) return;
      const files = { mp4: true, poster: true, timeline: true };
      await this.#retry(signal, id, () => this.#update(head, { state: reason ? 'partial' : 'done', files }));
    } catch (error) {
      if (signal.aborted) throw error;
      this.#options.log.error({ err: error, recording: id }, 'a recording could not be made one file');
      const why = reason ?? 'it could not be made one file; its segments are there';
      await this.#update(head, { state: 'partial', reason: why });
    }
  }

  async #update(head: SpoolHead, changes: RecordingChanges): Promise<void> {
    await this.#options.rows.update(head.id, changes);
    if (changes.state) this.#tell(head, changes.state, changes.reason ?? head.reason);
  }

  async #retry<T>(signal: AbortSignal, id: string, work: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(FINALISE_RETRY);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        const isOurs = error instanceof RecorderError && !error.isBucketFault;
        if (signal.aborted || attempt >= (isOurs ? MAX_OWN_ATTEMPTS : MAX_ATTEMPTS)) throw error;
        const waitMs = Math.round(backoff.next(0));
        this.#options.log.warn({ err: error, recording: id, waitMs }, 'a recording could not be finished yet');
        await sleep(waitMs, undefined, { signal });
      }
    }
  }

  async #discard(head: SpoolHead): Promise<void> {
    await this.#options.store.deletePrefix(recordingPrefix(head));
    await this.#spoolOf(head.id).erase();
  }

  /** Of what is not kept, a segment goes when no player asks for it any more. */
  #left({ recording, isKept, number }: WindowSegment): void {
    if (isKept) return;
    const { store, log } = this.#options;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      store.delete(recordingKey({ id: recording, isKept }, `${number}.m4s`)).catch((error) => {
        log.warn({ err: error }, 'a segment that left the window could not be erased');
      });
    }, LEFT_MS);
    timer.unref();
    this.#timers.add(timer);
  }

  #spoolOf(id: string): SegmentSpool {
    return new SegmentSpool(join(this.#options.folder, id));
  }

  #tell({ id, stream }: SpoolHead, state: RecordingState, reason: string | null): void {
    this.#options.log.info({ streamId: stream, recording: id, state, reason }, 'recording state');
    for (const listener of this.#listeners) listener({ stream, recording: id, state, reason });
  }
}
