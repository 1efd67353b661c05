import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { KnownPerson } from '../../inference/policy.ts';
import { RecorderError } from '../../recorder/errors.ts';
import { hasEnded } from '../../recorder/jobs/job.ts';
import type { JobQueue } from '../../recorder/jobs/job-queue.ts';
import type { ObjectStore, UploadedPart } from '../../recorder/store/object-store.ts';
import { AnalysisObjects } from '../../recorder/videos/analysis-objects.ts';
import { type RecognisedPerson, recognisePeople } from '../../recorder/videos/recognise-people.ts';
import type { Sealer } from '../../recorder/videos/sealer.ts';
import { VIDEO_ID, VIDEO_STATES, type Video, type VideoState } from '../../recorder/videos/video.ts';
import { videoJobKey } from '../../recorder/videos/video-job.ts';
import { madePrefixes } from '../../recorder/videos/video-keys.ts';
import { eraseEmbeddings, type VideoPerson } from '../../recorder/videos/video-people.ts';
import type { VideoRepository } from '../database/video-repository.ts';
import { GatewayError } from '../errors.ts';
import { toJobError } from '../jobs/job-errors.ts';
import type { Page } from '../live/cursor.ts';
import { DEFAULT_STREAM_POLICY, mergePolicy, type People, type WantedPolicy } from '../live/stream-policy.ts';
import { Turns } from '../live/turns.ts';
import { type UploadAddresses, VideoUploads } from './video-uploads.ts';

/** Who is enrolled. */
export interface EnrolledPeople extends People {
  /** Those who can be recognised now; borrowed. */
  all(): readonly KnownPerson[];
}

export interface VideosOptions {
  readonly rows: VideoRepository;
  readonly store: ObjectStore;
  readonly sealer: Sealer;
  readonly jobs: Pick<JobQueue, 'enqueue' | 'get' | 'cancel' | 'watch'>;
  readonly people: EnrolledPeople;
  readonly maxBytes: number;
  readonly log: Logger;
}

export interface WantedVideo {
  readonly filename: string;
  readonly size: number;
  readonly sha256?: string | undefined;
  readonly title?: string | undefined;
}

/** Somebody in a video, and whether they will be seen. */
export interface VideoFace {
  readonly person: VideoPerson;
  readonly identity: RecognisedPerson | null;
  readonly visible: boolean;
}

/** Of one owner. */
const MAX_VIDEOS = 10_000;
/** A run without a job for so long lost it between two steps: the process died. */
const JOBLESS_MS = 5_000;
/** A job that is told to end does so within this time, or is left to clean up after itself. */
const END_MS = 10_000;
const ID_BYTES = 8;
/** States may change while one is told to end. */
const ATTEMPTS = 5;
/** Of these uploads nothing can be made. */
const SPOILED: ReadonlySet<string> = new Set(['upload-incomplete', 'checksum-mismatch', 'unsupported-media-type']);

/** Uploaded videos: from their upload through the choice of people to what is downloaded. Borrows its parts. */
export class Videos {
  readonly #options: VideosOptions;
  readonly #uploads: VideoUploads;
  readonly #analyses: AnalysisObjects;
  readonly #turns = new Turns();

  constructor(options: VideosOptions) {
    this.#options = options;
    this.#uploads = new VideoUploads(options.store);
    this.#analyses = new AnalysisObjects(options.store, options.sealer);
  }

  /**
   * Makes a video to be uploaded; asked again with the same key, gives the same one.
   * @returns where to send it; null where that was done, or its time is over
   * @throws GatewayError 'upload-too-large' | 'too-many' | 'idempotency-conflict'
   */
  async create(
    owner: string,
    wanted: WantedVideo,
    idempotencyKey: string | null,
  ): Promise<{ video: Video; upload: UploadAddresses | null }> {
    const { rows, maxBytes, log } = this.#options;
    const { filename, size, sha256 = null, title = filename } = wanted;
    if (size > maxBytes) throw new GatewayError('upload-too-large', `a video may have at most ${maxBytes} bytes`);
    const before = idempotencyKey === null ? null : await rows.byKey(owner, idempotencyKey);
    if (before) return this.#again(before, { filename, size, sha256, title });
    if ((await rows.count(owner)) >= MAX_VIDEOS) {
      const message = `there are ${MAX_VIDEOS} videos, and no more may be made; delete one`;
      throw new GatewayError('too-many', message, { retryAfterSeconds: 60 });
    }
    const id = randomBytes(ID_BYTES).toString('hex');
    const upload = await this.#uploads.begin({ owner, id }, size);
    const made = { id, owner, filename, size, sha256, title, upload, idempotencyKey, createdAt: new Date() };
    const { video, created } = await rows.insert(made);
    if (!created) {
      // Somebody asked the same at the same time.
      await this.#uploads.abandon({ ...video, id, upload });
      return this.#again(video, { filename, size, sha256, title });
    }
    log.info({ video: id, size }, 'video made');
    return { video, upload: await this.#uploads.sign(video) };
  }

  /**
   * Looks at what was uploaded, and has it analysed.
   * @throws GatewayError 'video-not-found'; 'video-conflict' where it was done before; as `VideoUploads.end`
   */
  complete(owner: string, id: string, parts?: readonly UploadedPart[]): Promise<Video> {
    return this.#turns.take(id, async () => {
      const { rows } = this.#options;
      const video = await this.get(owner, id);
      if (video.state !== 'created') throw conflict(video, 'its upload was completed before');
      try {
        await this.#uploads.end(video, parts);
      } catch (error) {
        const { code, message } = error as GatewayError;
        // What is no video stays none; one request's bytes can be sent again, joined parts can not.
        const isOver = code === 'unsupported-media-type' || (SPOILED.has(code) && video.upload.multipart !== null);
        if (isOver) await this.#change(video, ['created'], { state: 'failed', error: { code, message } });
        throw error;
      }
      const begun = { state: 'analysing', run: video.run + 1, job: null, error: null } as const;
      const analysing = await rows.change(id, { run: video.run, states: ['created'] }, begun);
      if (!analysing) throw conflict(video, 'its upload was completed before');
      return this.#enqueue(analysing, 'created');
    });
  }

  /** How it is now, also where its job ended without a word. @throws GatewayError 'video-not-found' */
  async get(owner: string, id: string): Promise<Video> {
    const video = VIDEO_ID.test(id) ? await this.#options.rows.get(id) : null;
    if (!video || video.owner !== owner) throw new GatewayError('video-not-found', 'there is no such video');
    return this.#settled(video);
  }

  /** In the order in which they were made. @throws GatewayError 'bad-request' for a cursor that is none of ours */
  async list(owner: string, limit: number, cursor?: string): Promise<Page<Video>> {
    const { entries, next } = await this.#options.rows.list(owner, limit, cursor);
    return { entries: await Promise.all(entries.map((video) => this.#settled(video))), next };
  }

  /** Those of its similar videos that are there still. */
  similarTo({ similarTo }: Video): Promise<string[]> {
    return this.#options.rows.existing(similarTo);
  }

  /**
   * Who appears, in that order.
   * @param after the face that the page before ended with
   * @throws GatewayError 'video-not-found' | 'video-not-ready'
   */
  async faces(
    owner: string,
    id: string,
    limit: number,
    after: number,
  ): Promise<{ items: VideoFace[]; next: number | null }> {
    const { rows, people } = this.#options;
    const video = await this.get(owner, id);
    const facts = factsOf(video);
    const found = await this.#analyses.people(video, facts.folder).catch(missing);
    const named = facts.recogniser === people.recogniser ? recognisePeople(found, people.all()) : new Map();
    eraseEmbeddings(found);
    const shown = await rows.shown(id);
    const page = found.people.filter(({ face }) => face > after);
    const items = page.slice(0, limit).map((person) => ({
      person,
      identity: named.get(person.face) ?? null,
      visible: shown.has(person.face),
    }));
    return { items, next: page.length > limit ? items.at(-1)!.person.face : null };
  }

  /**
   * Shows people of it, or hides them, from the next render on.
   * @param faces null: everybody
   * @returns those who are meant
   * @throws GatewayError 'video-not-found' | 'video-not-ready' | 'face-not-found', when nothing is changed
   */
  async show(owner: string, id: string, faces: readonly number[] | null, visible: boolean): Promise<number[]> {
    const { people } = factsOf(await this.get(owner, id));
    const all = Array.from({ length: people }, (_, i) => i + 1);
    const meant = faces === null ? all : [...new Set(faces)];
    const stranger = meant.find((face) => !(face >= 1 && face <= people));
    if (stranger !== undefined) throw new GatewayError('face-not-found', `nobody in this video has number ${stranger}`);
    await this.#options.rows.show(id, meant, visible);
    return meant;
  }

  /**
   * Has it rendered with those who are chosen now.
   * @throws GatewayError 'video-not-found' | 'video-not-ready' | 'video-conflict' | 'unprocessable'
   */
  render(owner: string, id: string, wanted: WantedPolicy): Promise<Video> {
    return this.#turns.take(id, async () => {
      const { rows, people } = this.#options;
      const video = await this.get(owner, id);
      const facts = factsOf(video);
      if (video.state === 'rendering') throw conflict(video, 'wait for it, or cancel it');
      const policy = mergePolicy(DEFAULT_STREAM_POLICY, wanted, people);
      const { mode, identities, style, strength, margin } = policy;
      if (mode !== 'all' && identities.length > 0 && facts.recogniser !== people.recogniser) {
        throw conflict(video, `it was analysed with ${facts.recogniser}, by which nobody enrolled can be known`);
      }
      const faces = [...(await rows.shown(id))].sort((a, b) => a - b);
      const choice = { mode, identities, blur: { style, strength, margin }, faces };
      const begun = { state: 'rendering', run: video.run + 1, job: null, error: null, choice } as const;
      const rendering = await rows.change(id, { run: video.run, states: [video.state] }, begun);
      if (!rendering) throw conflict(video, 'somebody else changed it meanwhile');
      return this.#enqueue(rendering, video.state);
    });
  }

  /**
   * Ends what is being done with it. Before it was rendered, nothing is left of it but that it was there; a render that
   * is cancelled leaves what was known before, and can be asked for again.
   * @throws GatewayError 'video-not-found' | 'video-conflict' where it is done
   */
  async cancel(owner: string, id: string): Promise<Video> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const video = await this.get(owner, id);
      if (video.state === 'cancelled' || video.state === 'failed') return video;
      if (video.state === 'done') throw conflict(video, 'there is nothing to cancel; delete it instead');
      const isKept = video.state === 'rendering';
      const changes = { run: video.run + 1, state: 'cancelled', job: null, ...(!isKept && { facts: null }) } as const;
      const cancelled = await this.#change(video, [video.state], changes);
      if (!cancelled) continue;
      await this.#endJob(video);
      if (!isKept) await this.#erase(video);
      this.#options.log.info({ video: id, from: video.state }, 'video cancelled');
      return cancelled;
    }
    throw new GatewayError('video-conflict', 'the video keeps changing; try again');
  }

  /** Erases it, with all that was made of it. @throws GatewayError 'video-not-found' */
  async remove(owner: string, id: string): Promise<void> {
    const { rows, log } = this.#options;
    const found = VIDEO_ID.test(id) ? await rows.get(id) : null;
    if (!found || found.owner !== owner) throw new GatewayError('video-not-found', 'there is no such video');
    let video: Video | null = found;
    // Whoever works on it has nothing to write any more from here on.
    while (video && !(await this.#change(video, VIDEO_STATES, { run: video.run + 1, state: 'cancelled' }))) {
      video = await rows.get(id);
    }
    const last = video ?? found;
    await this.#endJob(last);
    await this.#erase(last);
    await rows.remove(id);
    log.info({ video: id }, 'video erased');
  }

  async #again(
    video: Video,
    { filename, size, sha256, title }: Pick<Video, 'filename' | 'size' | 'sha256' | 'title'>,
  ): Promise<{ video: Video; upload: UploadAddresses | null }> {
    const isSame =
      video.filename === filename && video.size === size && video.sha256 === sha256 && video.title === title;
    if (!isSame) throw new GatewayError('idempotency-conflict', 'this Idempotency-Key was used for another video');
    return { video, upload: video.state === 'created' ? await this.#uploads.sign(video) : null };
  }

  /** @param before the state that it goes back to where no job can be had */
  async #enqueue(video: Video, before: VideoState): Promise<Video> {
    const { jobs, rows } = this.#options;
    const { owner, id, run, state } = video;
    const given = { owner, video: id, run };
    const kind = state === 'rendering' ? 'render' : 'analyse';
    try {
      const { id: job } = await jobs.enqueue({ kind, owner, payload: given, idempotencyKey: videoJobKey(given) });
      return (await rows.change(id, { run, states: VIDEO_STATES }, { job })) ?? { ...video, job };
    } catch (error) {
      await this.#change(video, [state], { state: before });
      throw toJobError(error);
    }
  }

  async #settled(video: Video): Promise<Video> {
    const { rows, jobs } = this.#options;
    const { id, state, job } = video;
    if (state !== 'analysing' && state !== 'rendering') return video;
    if (job === null) {
      const isLost = Date.now() - video.updatedAt.getTime() > JOBLESS_MS;
      return isLost ? this.#enqueue(video, state) : video;
    }
    const record = await jobs.get(job);
    if (record && !hasEnded(record)) return video;
    // A job that is done has changed the video before it said so, and perhaps after it was read here.
    const error = record?.error ?? { code: 'internal', message: 'the job did not end as it should' };
    return (await this.#change(video, [state], { state: 'failed', error })) ?? (await rows.get(id)) ?? video;
  }

  async #endJob({ id, job }: Video): Promise<void> {
    if (job === null) return;
    const { jobs, log } = this.#options;
    const over = Promise.withResolvers<void>();
    try {
      const { state } = await jobs.cancel(job);
      if (state !== 'running') return;
      const watched = await jobs.watch(job, (news) => hasEnded(news) && over.resolve());
      const timer = setTimeout(() => {
        log.warn({ video: id, job }, 'the job does not end; it cleans up when it does');
        over.resolve();
      }, END_MS);
      if (!hasEnded(watched.job)) await over.promise;
      clearTimeout(timer);
      watched.stop();
    } catch (error) {
      // It ended long ago.
      if (!(error instanceof RecorderError && error.code === 'job-not-found')) throw error;
    }
  }

  async #erase(video: Video): Promise<void> {
    await this.#uploads.abandon(video);
    for (const prefix of madePrefixes(video)) await this.#options.store.deletePrefix(prefix);
  }

  #change({ id, run }: Video, states: readonly VideoState[], changes: Parameters<VideoRepository['change']>[2]) {
    return this.#options.rows.change(id, { run, states }, changes);
  }
}

function factsOf(video: Video): NonNullable<Video['facts']> {
  if (video.facts) return video.facts;
  throw new GatewayError('video-not-ready', `the video is ${video.state}; it must have been analysed for this`);
}

function conflict({ state }: Video, why: string): GatewayError {
  return new GatewayError('video-conflict', `the video is ${state}: ${why}`);
}

/** Between a video's row and its objects somebody erased it. */
function missing(error: unknown): never {
  if (!(error instanceof RecorderError && error.code === 'object-not-found')) throw error;
  throw new GatewayError('video-not-found', 'there is no such video', { cause: error });
}
