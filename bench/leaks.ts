import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import { chooseClips, OUT_FOLDER, prepareClip, type ReadyClip } from './clips.ts';
import { coveredBoxes } from './covered-boxes.ts';
import { type LeakFigures, measureLeaks } from './leak-measure.ts';
import { type Row, report } from './report.ts';
import { rounded } from './statistics.ts';

/** What one clip came to. */
interface ClipResult {
  clip: string;
  seconds: number;
  /** Time the engine took; null where none ran. */
  engineMs: number | null;
  sourceBytes: number;
  outputBytes: number;
  figures: LeakFigures;
}

/** Takes a clip and returns the file to measure, and the report of what was covered in it. */
type Engine = (clip: ReadyClip) => Promise<{ output: string; report: string | null }>;

async function chooseEngine(name: string): Promise<Engine> {
  if (name === 'none') return async (clip) => ({ output: clip.file, report: null });
  if (name !== 'faceblur') throw new Error(`no engine is named ${name}; there are faceblur and none`);
  const { blurFile } = await import('../inference/blur-file.ts');
  const folder = join(OUT_FOLDER, 'blurred');
  mkdirSync(folder, { recursive: true });
  return async (clip) => {
    const output = join(folder, `${clip.name}.mp4`);
    const report = join(folder, `${clip.name}.json`);
    await blurFile({ input: clip.file, output, report });
    return { output, report };
  };
}

async function measureClip(clip: ReadyClip, engine: Engine, isTimed: boolean): Promise<ClipResult> {
  const started = performance.now();
  const { output, report } = await engine(clip);
  const engineMs = performance.now() - started;
  return {
    clip: clip.name,
    seconds: clip.seconds,
    engineMs: isTimed ? engineMs : null,
    sourceBytes: statSync(clip.file).size,
    outputBytes: statSync(output).size,
    figures: await measureLeaks({
      source: clip.file,
      output,
      truth: clip.truth,
      ...(report && { covered: coveredBoxes(report) }),
    }),
  };
}

function row(result: ClipResult): Row {
  const { figures, engineMs, seconds } = result;
  return {
    clip: result.clip,
    'face-frames': figures.faceFrames,
    leaked: figures.leaked,
    'per 1000': figures.leakedPer1000,
    'PSNR outside faces dB': figures.psnrOutsideDb,
    'outside masks dB': figures.psnrOutsideMasksDb,
    'size ratio': rounded(result.outputBytes / result.sourceBytes, 2),
    fps: engineMs === null ? null : rounded((1000 * figures.frames) / engineMs, 1),
    'x real time': engineMs === null ? null : rounded((1000 * seconds) / engineMs, 2),
    'frames missing': figures.truthFrames - figures.frames,
  };
}

/** That of the mean square error. */
function meanPsnr(values: readonly (number | null)[]): number | null {
  const psnrs = values.filter((psnr) => psnr !== null);
  if (psnrs.length === 0) return null;
  return rounded(-10 * Math.log10(psnrs.reduce((all, psnr) => all + 10 ** (-psnr / 10), 0) / psnrs.length), 2);
}

/** Counts add up; the PSNR is that of the mean square error over clips. */
function total(name: string, results: readonly ClipResult[]): ClipResult {
  const sum = (value: (result: ClipResult) => number) => results.reduce((all, result) => all + value(result), 0);
  const faceFrames = sum((result) => result.figures.faceFrames);
  const leaked = sum((result) => result.figures.leaked);
  const isTimed = results.every((result) => result.engineMs !== null);
  return {
    clip: name,
    seconds: sum((result) => result.seconds),
    engineMs: isTimed ? sum((result) => result.engineMs ?? 0) : null,
    sourceBytes: sum((result) => result.sourceBytes),
    outputBytes: sum((result) => result.outputBytes),
    figures: {
      frames: sum((result) => result.figures.frames),
      truthFrames: sum((result) => result.figures.truthFrames),
      frameCountsDiffer: results.some((result) => result.figures.frameCountsDiffer),
      faceFrames,
      leaked,
      leakedPer1000: rounded((1000 * leaked) / Math.max(1, faceFrames), 2) ?? 0,
      keptVisible: null,
      outsideMeanAbsDiff: sum((result) => result.figures.outsideMeanAbsDiff) / Math.max(1, results.length),
      psnrOutsideDb: meanPsnr(results.map((result) => result.figures.psnrOutsideDb)),
      psnrOutsideMasksDb: meanPsnr(results.map((result) => result.figures.psnrOutsideMasksDb)),
      perFace: {},
      worst: [],
    },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { engine: { type: 'string', default: 'faceblur' }, clips: { type: 'string', default: 'all' } },
  });
  Log.setLevel(AV_LOG_ERROR);
  const clips = chooseClips(values.clips.split(',').filter(Boolean));
  const engine = await chooseEngine(values.engine);
  const results: ClipResult[] = [];
  for (const recipe of clips) {
    const clip = await prepareClip(recipe);
    results.push(await measureClip(clip, engine, values.engine !== 'none'));
    const { leaked, faceFrames } = results.at(-1)!.figures;
    console.error(`${clip.name}: ${leaked} of ${faceFrames} face-frames leaked`);
  }
  const heldOut = results.filter((_, i) => clips[i]!.isHeldOut);
  const tuned = results.filter((_, i) => !clips[i]!.isHeldOut);
  const sums = [total('chosen on these', tuned), total('held out', heldOut), total('total', results)];
  report('leaks', [...results, ...sums.filter(({ figures }) => figures.frames > 0)].map(row), {
    engine: values.engine,
    total: sums.at(-1),
    sums,
    clips: results,
  });
}

await main();
