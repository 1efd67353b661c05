import { createSecretKey, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { findFfmpeg } from '../../../recorder/recording/ffmpeg.ts';
import type { StoredSegment } from '../../../recorder/recording/recording.ts';
import { type RecordingEvent, Recordings } from '../../../recorder/recording/recordings.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import type { ObjectStore } from '../../../recorder/store/object-store.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { MemoryRows } from './memory-rows.ts';

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
