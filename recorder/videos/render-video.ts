import { createReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import type { Analysis, Verdict } from '../../inference/analysis/analysis.ts';
import { decide, showPeople } from '../../inference/analysis/decide.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { JobContext, JobHandler } from '../jobs/job-handlers.ts';
import { packageHls } from './hls.ts';
import type { RenderChoice } from './video.ts';
import { cleanUpAttempt, percentOf, VideoAttempt, type VideoJobParts, VideoRefusal } from './video-job.ts';
import { OUTPUTS, type Output, outputKey } from './video-keys.ts';

/** Covers everybody in a video but those who were chosen, by what its analysis found: MP4, HLS and report. */
export class RenderVideo implements JobHandler {
  readonly #parts: VideoJobParts;

  constructor(parts: VideoJobParts) {
    this.#parts = parts;
  }

  run(context: JobContext): Promise<void> {
    return VideoAttempt.run('rendering', context, this.#parts, (attempt) => this.#render(attempt, context));
  }

  cleanUp(job: JobRecord, attempt: number): Promise<void> {
    return cleanUpAttempt(job, attempt, this.#parts);
  }

  async #render(attempt: VideoAttempt, context: JobContext): Promise<void> {
    const { engine, ffmpegPath, hlsTimeSeconds } = this.#parts;
    const { video, place, folder } = attempt;
    const { progress, signal, log } = context;
    const { facts, choice, output: before } = video;
    if (!facts || !choice) throw new VideoRefusal('video-not-ready', 'the video was not analysed');
    progress('fetching', 0);
    const input = attempt.path('input');
    await attempt.fetchOriginal(input);
    const analysis = await attempt.analyses.load(place, facts.folder, attempt.path('frames'), signal);
    progress('deciding', 5);
    const { verdicts, chosen } = await this.#decide(analysis, choice);
    const [mp4, report] = [attempt.path(OUTPUTS.mp4.name), attempt.path(OUTPUTS.report.name)];
    await engine.render(
      { input, output: mp4, report, policy: choice.blur, analysis: withoutLooks(analysis), verdicts, chosen },
      {
        signal,
        onProgress: ({ frames }) => progress('rendering', percentOf(frames / Math.max(1, facts.frames), 5, 85)),
        onWarning: (message) => log.warn(message),
      },
    );
    progress('packaging', 85);
    const packaged = attempt.path('hls');
    await mkdir(packaged);
    const hls = await packageHls(mp4, packaged, { ffmpegPath, segmentSeconds: hlsTimeSeconds, signal });
    progress('storing', 90);
    await this.#store({ mp4, report, ...hls }, attempt, signal);
    await attempt.finish({ state: 'done', output: folder });
    // Of what was rendered before nothing is asked for any more. What a failure leaves goes with the video.
    if (before) await attempt.analyses.erase(place, before);
  }

  async #decide(
    analysis: Analysis,
    { mode, identities, faces }: RenderChoice,
  ): Promise<{ verdicts: Verdict[]; chosen: { mode: RenderChoice['mode']; identities: readonly string[] } }> {
    const shown = new Set(faces);
    const byHand = showPeople(analysis, ({ id }) => shown.has(id));
    if (mode === 'all' || identities.length === 0) return { verdicts: byHand, chosen: { mode: 'all', identities: [] } };
    const { recogniser, people } = await this.#parts.people(identities);
    try {
      // Whoever can't be recognised would be taken for somebody whom `only` does not name.
      const isSafe = people.length > 0 && (mode === 'except' || people.length === identities.length);
      const named = isSafe ? decide(analysis, { mode, recogniser, people }) : [];
      const chosen = isSafe
        ? { mode, identities: people.map(({ id }) => id) }
        : { mode: 'all' as const, identities: [] };
      return { verdicts: [...named, ...byHand], chosen };
    } finally {
      for (const { embeddings } of people) for (const embedding of embeddings) embedding.fill(0);
    }
  }

  async #store(files: Readonly<Record<Output, string>>, attempt: VideoAttempt, signal: AbortSignal): Promise<void> {
    for (const [output, path] of Object.entries(files) as [Output, string][]) {
      const { size } = await stat(path);
      const { contentType } = OUTPUTS[output];
      const key = outputKey(attempt.place, attempt.folder, output);
      await this.#parts.store.put(key, createReadStream(path), { contentType, size, signal });
    }
  }
}

/** A render needs to know where faces are and whom to show; the embeddings are erased. */
function withoutLooks(analysis: Analysis): Analysis {
  for (const { looks, mean } of analysis.tracklets) {
    mean.fill(0);
    for (const { embedding } of looks) embedding.fill(0);
  }
  return { ...analysis, tracklets: [], people: [] };
}
