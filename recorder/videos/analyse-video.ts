import type { Analysis } from '../../inference/analysis/analysis.ts';
import { MAX_PIXELS } from '../../inference/media/video-decoder.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { JobContext, JobHandler } from '../jobs/job-handlers.ts';
import { fingerprintOf, isSimilar } from './fingerprint.ts';
import type { Probe } from './probe.ts';
import type { Video, VideoFacts } from './video.ts';
import { cleanUpAttempt, percentOf, VideoAttempt, type VideoJobParts, VideoRefusal } from './video-job.ts';

/** Frames a second that a video may have at most, all of it taken together. */
const MAX_FPS = 120;
/** Other videos that one is compared with, and that it names. */
const MAX_COMPARED = 10_000;
const MAX_SIMILAR = 10;

/** Finds out who is in an uploaded video: once for the same bytes and settings of one owner. */
export class AnalyseVideo implements JobHandler {
  readonly #parts: VideoJobParts;

  constructor(parts: VideoJobParts) {
    this.#parts = parts;
  }

  run(context: JobContext): Promise<void> {
    return VideoAttempt.run('analysing', context, this.#parts, (attempt) => this.#analyse(attempt, context));
  }

  cleanUp(job: JobRecord, attempt: number): Promise<void> {
    return cleanUpAttempt(job, attempt, this.#parts);
  }

  async #analyse(attempt: VideoAttempt, context: JobContext): Promise<void> {
    const { rows, settings } = this.#parts;
    const { video, place, folder } = attempt;
    const input = attempt.path('input');
    context.progress('fetching', 0);
    const sha256 = await attempt.fetchOriginal(input);
    context.progress('checking', 5);
    const probe = await this.#check(input, context.signal);
    const same = await rows.findAnalysed(place, sha256, settings);
    const copied = same?.facts ? await this.#copy(same, same.facts, attempt, context) : null;
    const facts: VideoFacts = copied ?? { ...(await this.#look(input, probe, attempt, context)), sha256 };
    const similarTo = await this.#similarTo(video, facts);
    context.progress('storing', 99);
    await attempt.finish({ state: 'ready', facts: { ...facts, folder }, similarTo });
  }

  /** @throws VideoRefusal, InferenceError */
  async #check(input: string, signal: AbortSignal): Promise<Probe> {
    const { engine, limits } = this.#parts;
    const probe = await engine.probe(input, signal);
    const { width, height, durationSeconds } = probe;
    if (width * height > MAX_PIXELS) {
      throw new VideoRefusal('too-many-pixels', `its pictures have ${width}×${height} pixels; 8K is the most`);
    }
    if (durationSeconds !== null && durationSeconds > limits.maxSeconds) throw tooLong(limits.maxSeconds);
    return probe;
  }

  async #look(
    input: string,
    { durationSeconds }: Probe,
    attempt: VideoAttempt,
    { progress, signal, log }: JobContext,
  ): Promise<Omit<VideoFacts, 'sha256'>> {
    const { engine, limits, models, settings } = this.#parts;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const summedUp =
      durationSeconds === null
        ? Promise.resolve(null)
        : fingerprintOf(input, durationSeconds * 1000, until).catch((error) => {
            if (!until.aborted) log.warn({ err: error }, 'how a video looks could not be summed up');
            return null;
          });
    let isTooLong = false;
    try {
      const analysis = await engine.analyse(
        { input, output: attempt.path('frames'), models },
        {
          signal: until,
          onProgress: ({ frames, totalFrames }) => {
            // What a header says of the length need not be so.
            isTooLong ||= frames > limits.maxSeconds * MAX_FPS;
            if (isTooLong) over.abort();
            progress('analysing', percentOf(totalFrames ? frames / totalFrames : 0, 8, 95));
          },
          onWarning: (message) => log.warn(message),
        },
      );
      isTooLong = analysis.durationMs > limits.maxSeconds * 1000;
      if (isTooLong) throw tooLong(limits.maxSeconds);
      progress('storing', 95);
      await attempt.analyses.save(attempt.place, attempt.folder, analysis, signal);
      eraseLooks(analysis);
      const { width, height, fps, frames, durationMs, recogniser, people } = analysis;
      const figures = { width, height, fps, frames, durationMs, recogniser, people: people.length };
      return { folder: attempt.folder, settings, ...figures, fingerprint: await summedUp };
    } catch (error) {
      throw isTooLong ? tooLong(limits.maxSeconds) : error;
    } finally {
      over.abort();
      await summedUp;
    }
  }

  /** @returns null where the other one's analysis is not to be had any more */
  async #copy(
    { owner, id }: Video,
    facts: VideoFacts,
    attempt: VideoAttempt,
    { signal, log }: JobContext,
  ): Promise<VideoFacts | null> {
    const { place, folder } = attempt;
    const from = { place: { owner, id }, folder: facts.folder };
    try {
      await attempt.analyses.copy(from, { place, folder }, attempt.path('copied'), signal);
      return facts;
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ video: place.id, err: error }, 'an analysis of the same bytes can not be used; analysing anew');
      return null;
    }
  }

  async #similarTo(video: Video, { fingerprint, durationMs }: VideoFacts): Promise<string[]> {
    if (fingerprint === null) return [];
    const looks = await this.#parts.rows.looks(video, MAX_COMPARED);
    const alike = looks.filter((look) => isSimilar({ fingerprint, durationMs }, look));
    return alike.slice(0, MAX_SIMILAR).map(({ id }) => id);
  }
}

function tooLong(maxSeconds: number): VideoRefusal {
  return new VideoRefusal('too-long', `the video is longer than ${maxSeconds} seconds`);
}

/** They are kept sealed from here on. */
function eraseLooks({ tracklets }: Analysis): void {
  for (const { looks, mean } of tracklets) {
    mean.fill(0);
    for (const { embedding } of looks) embedding.fill(0);
  }
}
