import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { defaultModelLocations, type ModelLocations } from '../models/locations.ts';
import type { Analysis, Verdict } from './analysis/analysis.ts';
import { decide } from './analysis/decide.ts';
import { InferenceError } from './errors.ts';
import type { AnalysedFaces, BlurFileResult } from './file-job.ts';
import { type JobHooks, runInChild } from './job-child.ts';
import { chooseOutputKind, type VideoCodec } from './media/output-kind.ts';
import { type BlurPolicy, makePolicy, type PeoplePolicy } from './policy.ts';
import { TemporaryOutput, writeWhole } from './temporary-output.ts';

export type { BlurFileResult } from './file-job.ts';
export type { JobHooks as BlurFileHooks } from './job-child.ts';
export type { BlurProgress } from './job-progress.ts';

/** What is written, and how faces are covered in it. */
export interface RenderOptions {
  readonly input: string;
  /** Its ending chooses the container: .mp4 (and none), .m4v, .mov, .mkv or .webm. */
  readonly output: string;
  /** The container's usual one when left out: VP9 in WebM, else H.264. */
  readonly codec?: VideoCodec;
  /** Whether tags that describe the file are kept (title, artist, time of creation …); default false. */
  readonly keepMetadata?: boolean;
  readonly policy?: Partial<BlurPolicy>;
  /** Where to write the JSON report of who was covered where. */
  readonly report?: string;
}

export interface BlurFileOptions extends RenderOptions {
  /** Where model files are looked for; the home folder's cache and the repository's surroundings when left out. */
  readonly models?: ModelLocations;
  /** Who may be seen: the file is read twice then. Everyone is covered when left out. */
  readonly people?: PeoplePolicy;
}

export interface AnalyseFileOptions {
  readonly input: string;
  /** Where to write the faces of each frame. */
  readonly output: string;
  /** As in `BlurFileOptions`. */
  readonly models?: ModelLocations;
}

export interface RenderFileOptions extends RenderOptions {
  readonly analysis: Analysis;
  /** Whom to show and when: all else is covered. */
  readonly verdicts: readonly Verdict[];
  /** What the report says of how that was decided. */
  readonly chosen: AnalysedFaces['chosen'];
}

/**
 * Blurs every face of a video file, but for those of people who may be seen, in a process of its own. The output appears
 * under its name only when it is whole; nothing is left behind when the job fails or is aborted.
 * @throws InferenceError; `fault` says whose it is
 */
export async function blurFile(options: BlurFileOptions, hooks: JobHooks = {}): Promise<BlurFileResult> {
  const { people, input, models } = options;
  if (!people) return render(options, hooks, { models: models ?? defaultModelLocations({}) });
  // Wrong options are found out before the long look.
  makePolicy(options.policy);
  chooseOutputKind(options.output, options.codec);
  const { path } = new TemporaryOutput(options.output);
  try {
    const analysis = await analyseFile({ input, output: path, ...(models && { models }) }, hooks);
    const chosen = { mode: people.mode, identities: people.people.map(({ id }) => id) };
    const wanted = { ...options, analysis, verdicts: decide(analysis, people), chosen };
    return await renderAnalysed(wanted, hooks, true);
  } catch (error) {
    // Nobody but this function knows where the analysis was.
    if (error instanceof InferenceError) error.message = error.message.replaceAll(path, options.output);
    throw error;
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Finds the faces of a video file in each frame and the people in all of it, in a process of its own.
 * @returns what was found; the file that was written belongs to it, the caller's to remove
 * @throws InferenceError
 */
export async function analyseFile(
  { input, output, models }: AnalyseFileOptions,
  hooks: JobHooks = {},
): Promise<Analysis> {
  const faces = new TemporaryOutput(output);
  return writeWhole([faces], async () => {
    const options = { input: resolve(input), output: faces.path, models: models ?? defaultModelLocations({}) };
    const analysis = await runInChild({ kind: 'analyse', options }, hooks);
    return { ...analysis, path: resolve(output) };
  });
}

/**
 * Blurs the faces of a video file that an analysis found, but for those that verdicts show, in a process of its own. A
 * frame that is not the one that was analysed is covered whole.
 * @throws InferenceError as `blurFile`; 'input-missing' | 'input-unreadable' where the analysis' file is not as it was written
 */
export function renderFile(options: RenderFileOptions, hooks: JobHooks = {}): Promise<BlurFileResult> {
  return renderAnalysed(options, hooks, false);
}

async function renderAnalysed(
  options: RenderFileOptions,
  hooks: JobHooks,
  isTemporary: boolean,
): Promise<BlurFileResult> {
  const { analysis, verdicts, chosen } = options;
  const { path, detector, recogniser } = analysis;
  const analysed = { path, isTemporary, detector, recogniser, verdicts, chosen };
  return render(options, hooks, { models: defaultModelLocations({}), analysed });
}

async function render(
  options: RenderOptions,
  hooks: JobHooks,
  how: { readonly models: ModelLocations; readonly analysed?: AnalysedFaces },
): Promise<BlurFileResult> {
  const output = new TemporaryOutput(options.output);
  const report = options.report ? new TemporaryOutput(options.report) : null;
  const job = {
    input: resolve(options.input),
    output: output.path,
    kind: chooseOutputKind(options.output, options.codec),
    keepMetadata: options.keepMetadata ?? false,
    policy: makePolicy(options.policy),
    report: report?.path ?? null,
    ...how,
  };
  const outputs = report ? [report, output] : [output];
  return writeWhole(outputs, () => runInChild({ kind: 'blur', options: job }, hooks));
}
