import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import { chooseClips, OUT_FOLDER, prepareClip, type ReadyClip } from './clips.ts';
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

/** Takes a clip and returns the file to measure. */
type Engine = (clip: ReadyClip) => Promise<string>;

async function chooseEngine(name: string): Promise<Engine> {
  if (name === 'none') return async (clip) => clip.file;
  if (name !== 'faceblur') throw new Error(`no engine is named ${name}; there are faceblur and none`);
  const { blurFile } = await import('../inference/blur-file.ts');
  const folder = join(OUT_FOLDER, 'blurred');
  mkdirSync(folder, { recursive: true });
  return async (clip) => {
    const output = join(folder, `${clip.name}.mp4`);
    await blurFile({ input: clip.file, output });
    return output;
  };
}

async function measureClip(clip: ReadyClip, engine: Engine, isTimed: boolean): Promise<ClipResult> {
  const started = performance.now();
  const output = await engine(clip);
  const engineMs = performance.now() - started;
  return {
    clip: clip.name,
    seconds: clip.seconds,
    engineMs: isTimed ? engineMs : null,
    sourceBytes: statSync(clip.file).size,
    outputBytes: statSync(output).size,
    figures: await measureLeaks({ source: clip.file, output, truth: clip.truth }),
  };
}

function row(result: ClipResult): Row {
  const { figures, engineMs, seconds } = result;
  return {
    clip: result.clip,
    'face-frames': figures.faceFrames,
    leaked: figures.leaked,
    'per 1000': figures.leakedPer1000,
    'PSNR outside dB': figures.psnrOutsideDb,
    'size ratio': rounded(result.outputBytes / result.sourceBytes, 2),
    fps: engineMs === null ? null : rounded((1000 * figures.frames) / engineMs, 1),
    'x real time': engineMs === null ? null : rounded((1000 * seconds) / engineMs, 2),
    'frames missing': figures.truthFrames - figures.frames,
  };
}

/** Counts add up; the PSNR is that of the mean square error over clips. */
function total(results: readonly ClipResult[]): ClipResult {
  const sum = (value: (result: ClipResult) => number) => results.reduce((all, result) => all + value(result), 0);
  const faceFrames = sum((result) => result.figures.faceFrames);
  const leaked = sum((result) => result.figures.leaked);
  const psnrs = results.map((result) => result.figures.psnrOutsideDb).filter((psnr) => psnr !== null);
  const meanSquare = psnrs.reduce((all, psnr) => all + 10 ** (-psnr / 10), 0) / Math.max(1, psnrs.length);
  const isTimed = results.every((result) => result.engineMs !== null);
  return {
    clip: 'total',
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
      psnrOutsideDb: psnrs.length > 0 ? rounded(-10 * Math.log10(meanSquare), 2) : null,
      perFace: {},
      worst: [],
    },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { engine: { type: 'string', default: 'faceblur' }, clips: { type: 'string', default: '' } },
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
  const all = total(results);
  report('leaks', [...results, all].map(row), { engine: values.engine, total: all, clips: results });
}

await main();
