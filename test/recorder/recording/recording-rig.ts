import { createSecretKey, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import type { LiveFace } from '../../../inference/live/live-engine.ts';
import { findFfmpeg } from '../../../recorder/recording/ffmpeg.ts';
import type { StoredSegment } from '../../../recorder/recording/recording.ts';
import { type RecordingEvent, Recordings } from '../../../recorder/recording/recordings.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import type { ObjectStore } from '../../../recorder/store/object-store.ts';
import type { LiveStream, StreamObserver, StreamState } from '../../../sfu/stream-types.ts';
import type { RedactedSink } from '../../../sfu/view/redacted-sinks.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import type { RedactedClip } from '../../sfu/push/redacted-clip.ts';
import { MemoryRows } from './memory-rows.ts';

/** A stream as a recorder sees it, to which a test sends what would leave. */
export class SentStream {
  readonly id: string;
  state: StreamState = 'idle';
  settings: LiveStream['settings'];
  keyframeRequests = 0;
  readonly #sinks = new Set<RedactedSink>();
  readonly #observers = new Set<StreamObserver>();

  constructor(id: string, settings: { record: boolean; hls: boolean }) {
    this.id = id;
    const policy = { style: 'mosaic', strength: 0.5, margin: 0.3, lookaheadFrames: 0 } as const;
    this.settings = { policy, source: null, push: [], ...settings };
  }

  /** For what takes a LiveStream, of which a recorder needs no more than this. */
  get live(): LiveStream {
    return this as unknown as LiveStream;
  }

  observe(observer: StreamObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  addSink(sink: RedactedSink): () => void {
    this.#sinks.add(sink);
    return () => this.#sinks.delete(sink);
  }

  begin(): void {
    this.#move('live');
    const requestKeyframe = (): void => {
      this.keyframeRequests++;
    };
    for (const sink of this.#sinks) sink.onBegin({ codec: 'h264', requestKeyframe });
  }

  end(): void {
    for (const sink of this.#sinks) sink.onEnd();
    this.#move('idle');
  }

  faces(faces: readonly Pick<LiveFace, 'track' | 'visible' | 'identity'>[]): void {
    for (const observer of this.#observers) observer.onFaces?.(faces as LiveFace[]);
  }

  /**
   * Sends a clip, times from `startMs`, much faster than it plays, without more than ffmpeg can take.
   * @param from ms of the clip
   */
  async send(clip: RedactedClip, startMs = 0, { from = 0, until = Number.POSITIVE_INFINITY, sound = true } = {}) {
    let next = clip.audio.findIndex(({ pts }) => pts / 48 >= from);
    for (const frame of clip.video) {
      const ms = frame.pts / 90;
      if (ms < from || ms >= until) continue;
      for (const sink of this.#sinks) sink.onVideo(frame, startMs + ms);
      for (; sound && next >= 0 && next < clip.audio.length && clip.audio[next]!.pts / 48 <= ms; next++) {
        const packet = clip.audio[next]!;
        for (const sink of this.#sinks) sink.onAudio(packet, startMs + packet.pts / 48);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #move(to: StreamState): void {
    const from = this.state;
    this.state = to;
    for (const observer of this.#observers) observer.onState?.(from, to, null);
  }
}

/** Recordings in a local store, their rows in memory. */
export class RecordingRig {
  readonly folder: string;
  readonly store: LocalStore;
  readonly rows = new MemoryRows();
  readonly events: RecordingEvent[] = [];
  #recordings: Recordings | undefined;

  private constructor(folder: string, store: LocalStore) {
    this.folder = folder;
    this.store = store;
  }

  static async create(): Promise<RecordingRig> {
    const folder = temporaryFolder();
    const signingKey = createSecretKey(randomBytes(32));
    return new RecordingRig(
      folder,
      await LocalStore.open({ folder: join(folder, 'objects'), signingKey, baseUrl: '' }),
    );
  }

  get spools(): string {
    return join(this.folder, 'spool');
  }

  /** A gateway starts. */
  async start(
    options: { segmentMs?: number; maxSpoolBytes?: number; store?: ObjectStore; ffmpegPath?: string } = {},
  ): Promise<Recordings> {
    const { segmentMs = 1000, store = this.store, ffmpegPath = await findFfmpeg(null), ...rest } = options;
    const log = pino({ level: process.env.LIVE_LOG ?? 'silent' });
    this.#recordings = await Recordings.create({
      ...{ store, rows: this.rows, folder: this.spools, ffmpegPath, segmentMs, log, ...rest },
    });
    this.#recordings.onState((event) => this.events.push(event));
    return this.#recordings;
  }

  /** What the store has of a recording, read whole. */
  async read(id: string, name: string, area = `recordings/${id}`): Promise<Buffer> {
    const { stream } = await this.store.get(`${area}/${name}`);
    return buffer(stream);
  }

  /** A part of a recording as a player puts it together. */
  async part(id: string, segments: readonly StoredSegment[], part = 1): Promise<Buffer> {
    const names = segments.filter((segment) => segment.part === part).map(({ number }) => `${number}.m4s`);
    return Buffer.concat(await Promise.all([`init-${part}.mp4`, ...names].map((name) => this.read(id, name))));
  }

  /** Of the objects that the store has, the last two parts of their keys. */
  async objects(): Promise<string[]> {
    const names = await readdir(join(this.folder, 'objects'), { recursive: true }).catch(() => []);
    return names.filter((name) => name.endsWith('@meta')).map((name) => name.replace(/@meta$/, ''));
  }

  /** Names of the spools that are left. */
  spooled(): Promise<string[]> {
    return readdir(this.spools);
  }

  async close(): Promise<void> {
    await this.#recordings?.close();
    await this.store.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
