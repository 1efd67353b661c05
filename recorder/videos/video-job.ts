import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { analyseFile, renderFile } from '../../inference/blur-file.ts';
import { InferenceError, type InferenceErrorCode } from '../../inference/errors.ts';
import type { KnownPerson } from '../../inference/policy.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { RecorderError } from '../errors.ts';
import type { JobError, JobPayload, JobRecord } from '../jobs/job.ts';
import { isLasting, type JobContext } from '../jobs/job-handlers.ts';
import { ContentCheck } from '../store/content-check.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { AnalysisObjects } from './analysis-objects.ts';
import type { probeVideo } from './probe.ts';
import type { Sealer } from './sealer.ts';
import { VIDEO_ID, type Video, type VideoPlace, type VideoState, type VideoStore } from './video.ts';
import { attemptFolder, originalKey } from './video-keys.ts';
import type { WorkFolders } from './work-folders.ts';

export interface VideoLimits {
  /** Longer videos are refused. */
  readonly maxSeconds: number;
}

/** What jobs on videos work with; all of it borrowed. */
export interface VideoJobParts {
  readonly rows: VideoStore;
  readonly store: ObjectStore;
  readonly sealer: Sealer;
  readonly work: WorkFolders;
  readonly models: ModelLocations;
  /** Names the models and rules that an analysis is made by. */
  readonly settings: string;
  readonly limits: VideoLimits;
  readonly ffmpegPath: string;
  readonly hlsTimeSeconds: number;
  /**
   * Those of the identities who can be recognised now; the embeddings are the caller's to erase. Whoever is not among
   * them was erased, or was enrolled with another recogniser.
   */
  readonly people: (ids: readonly string[]) => Promise<{ recogniser: string; people: readonly KnownPerson[] }>;
  readonly engine: VideoEngine;
}

/** What looks into a stranger's file, each time in a process of its own. */
export interface VideoEngine {
  readonly probe: typeof probeVideo;
  readonly analyse: typeof analyseFile;
  readonly render: typeof renderFile;
}

const payload = z.object({ owner: z.string().min(1), video: z.string().regex(VIDEO_ID), run: z.int() });

/** What a job on a video is given. */
export type VideoJob = z.infer<typeof payload>;

/** @throws RecorderError 'job-rejected' for what is no job on a video */
export function videoJobOf({ payload: given }: { readonly payload: JobPayload }): VideoJob {
  const read = payload.safeParse(given);
  if (!read.success) throw new RecorderError('job-rejected', 'this job names no video');
  return read.data;
}

/** The same for each request to do it, so that none is done twice. */
export function videoJobKey({ video, run }: VideoJob): string {
  return `video:${video}:${run}`;
}

/** Why a video can't be worked on, whoever tries: told as it stands. */
export class VideoRefusal extends Error {
  override readonly name = 'VideoRefusal';
  readonly told: JobError;

  constructor(code: string, message: string) {
    super(message);
    this.told = { code, message };
  }
}

const BAD_VIDEOS: Readonly<Partial<Record<InferenceErrorCode, string>>> = {
  'input-empty': 'the file is empty',
  'input-not-video': 'the file is no video that can be processed',
  'input-truncated': 'the video is cut off or damaged',
  'input-unreadable': 'the video can not be read',
};

/** What is told of a failure that another attempt would not mend; null for one that it may. */
function lastingErrorOf(error: unknown): JobError | null {
  if (error instanceof VideoRefusal) return error.told;
  if (error instanceof InferenceError && isLasting(error)) {
    return { code: error.code, message: BAD_VIDEOS[error.code] ?? 'the video can not be worked on' };
  }
  return null;
}

/** One attempt at a job on a video: what it works on, where, and how it ends. */
export class VideoAttempt {
  readonly video: Video;
  readonly place: VideoPlace;
  /** Part of the keys of what it stores. */
  readonly folder: string;
  /** On disk, empty at first. */
  readonly workFolder: string;
  readonly analyses: AnalysisObjects;
  readonly #context: JobContext;
  readonly #parts: VideoJobParts;
  readonly #state: VideoState;

  private constructor(video: Video, state: VideoState, workFolder: string, context: JobContext, parts: VideoJobParts) {
    this.video = video;
    this.place = { owner: video.owner, id: video.id };
    this.folder = attemptFolder(context.job, context.attempt);
    this.workFolder = workFolder;
    this.analyses = new AnalysisObjects(parts.store, parts.sealer);
    this.#context = context;
    this.#parts = parts;
    this.#state = state;
  }

  /**
   * Does `work` on a video that is in `state`, or failed in it, and removes what it had on disk.
   * @throws RecorderError 'job-rejected' where the video is gone or was cancelled, or can't be worked on whoever tries
   */
  static async run(
    state: 'analysing' | 'rendering',
    context: JobContext,
    parts: VideoJobParts,
    work: (attempt: VideoAttempt) => Promise<void>,
  ): Promise<void> {
    const { job, attempt: number } = context;
    const { video: id, run } = videoJobOf(job);
    const before = await parts.rows.get(id);
    // Done by an attempt whose process died before it could say so.
    if (before && before.run === run && before.job === job.id && isResult(before, job)) return;
    const begun = { state, job: job.id, error: null };
    const video = await parts.rows.change(id, { run, states: [state, 'failed'] }, begun);
    if (!video) throw gone();
    const name = attemptFolder(job, number);
    const folder = await parts.work.make(name);
    const attempt = new VideoAttempt(video, state, folder, context, parts);
    try {
      await work(attempt);
    } catch (error) {
      // What was killed for being cancelled fails in its own ways.
      context.signal.throwIfAborted();
      const told = lastingErrorOf(error);
      if (!told) throw error;
      await attempt.#fail(told);
      throw new RecorderError('job-rejected', told.message, { cause: error });
    } finally {
      await parts.work.remove(name);
    }
  }

  path(name: string): string {
    return join(this.workFolder, name);
  }

  /**
   * Fetches the upload to a file, checked against what was declared or known of it.
   * @returns its SHA-256, in hex
   * @throws VideoRefusal where it is something else
   */
  async fetchOriginal(path: string): Promise<string> {
    const { store } = this.#parts;
    const { signal } = this.#context;
    const { size, facts } = this.video;
    const sha256 = facts?.sha256 ?? this.video.sha256 ?? undefined;
    try {
      const { head, stream } = await store.get(originalKey(this.place), { signal, ...(sha256 && { sha256 }) });
      if (head.size !== size) {
        stream.destroy();
        throw new VideoRefusal('upload-incomplete', `the upload has ${head.size} bytes and not ${size}`);
      }
      const check = new ContentCheck({ size });
      const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
      await pipeline(stream, (bytes: AsyncIterable<Uint8Array>) => check.through(bytes), file, { signal });
      return check.sha256;
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
      if (error.code === 'checksum-mismatch') throw new VideoRefusal(error.code, 'the upload is not what was declared');
      if (error.code === 'object-not-found') throw new VideoRefusal('upload-incomplete', 'the upload is gone');
      throw error;
    }
  }

  /**
   * Writes down what came of it, unless it is cancelled or somebody else's by now.
   * @throws RecorderError
   */
  async finish(changes: Parameters<VideoStore['change']>[2]): Promise<void> {
    await this.#context.confirm();
    const expected = { run: this.video.run, states: [this.#state] };
    if (!(await this.#parts.rows.change(this.video.id, expected, changes))) throw gone();
  }

  async #fail(error: JobError): Promise<void> {
    const expected = { run: this.video.run, states: [this.#state] };
    const failed = await this.#parts.rows.change(this.video.id, expected, { state: 'failed', error });
    // Of an upload that can't be analysed nothing can be made.
    if (failed && !failed.facts) await this.#parts.store.delete(originalKey(this.place));
  }
}

/** Removes what an attempt left behind, unless it is what the video now shows. */
export async function cleanUpAttempt(job: JobRecord, attempt: number, parts: VideoJobParts): Promise<void> {
  const { owner, video: id } = videoJobOf(job);
  const folder = attemptFolder(job, attempt);
  await parts.work.remove(folder);
  const video = await parts.rows.get(id);
  if (video?.facts?.folder === folder || video?.output === folder) return;
  await new AnalysisObjects(parts.store, parts.sealer).erase({ owner, id }, folder);
}

/** The percentage of a whole job that a part (0..1) of one of its stages is. */
export function percentOf(part: number, from: number, to: number): number {
  return from + Math.min(1, Math.max(0, part)) * (to - from);
}

function isResult({ facts, output }: Video, job: JobRecord): boolean {
  return [facts?.folder, output].some((folder) => folder?.startsWith(`${job.id}-`));
}

function gone(): RecorderError {
  return new RecorderError('job-rejected', 'the video was cancelled or deleted');
}
