import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import { cachedClip, OUT_FOLDER, photoBoxes, type ReadyClip, TESTDATA_FOLDER } from './clips.ts';
import { type FfmpegExecutable, findFfmpeg } from './ffmpeg-executable.ts';
import { faceblurPipeline, findGstreamer, type GstreamerExecutable } from './gstreamer-executable.ts';
import { measureLeaks } from './leak-measure.ts';
import { type Row, report } from './report.ts';
import { median, percentile, rounded } from './statistics.ts';
import { type ProcessCost, runTimed } from './timed-process.ts';

const COMMAND = join(import.meta.dirname, '..', 'gateway', 'faceblur.mjs');
const PHOTO = 'detect/group/linzaer_16.jpg';
const SHORT_SECONDS = 10;
/** The short clip this many times over makes ten minutes. */
const LONG_REPEATS = 60;

/** One way to turn the source into the output, and what its rounds took. */
interface Variant {
  name: 'blur' | 'transcode' | 'gstreamer';
  output: string;
  run(): Promise<ProcessCost>;
  costs: ProcessCost[];
}

interface Source {
  label: string;
  file: string;
  seconds: number;
  /** Given where leaks and PSNR are to be measured. */
  clip: ReadyClip | null;
}

/** The programs that are compared, the first against each of the others. */
interface Programs {
  readonly ffmpeg: FfmpegExecutable;
  readonly gstreamer: GstreamerExecutable | null;
}

function variants(source: Source, { ffmpeg, gstreamer }: Programs): Variant[] {
  const folder = join(OUT_FOLDER, 'blur');
  mkdirSync(folder, { recursive: true });
  const output = (name: Variant['name']) => join(folder, `${source.label}-${name}.mp4`);
  const transcoded = output('transcode');
  const plain = ['-v', 'error', '-nostdin', '-y', '-i', source.file];
  const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'copy', transcoded];
  const blur = [COMMAND, 'blur', source.file, '-o', output('blur'), '--quiet'];
  const commands: [Variant['name'], string, string[]][] = [
    ['blur', process.execPath, blur],
    ['transcode', ffmpeg.path, [...plain, ...encode]],
  ];
  if (gstreamer) {
    commands.push(['gstreamer', gstreamer.path, faceblurPipeline(gstreamer, source.file, output('gstreamer'))]);
  }
  return commands.map(([name, command, args]) => ({
    name,
    output: output(name),
    run: () => runTimed(command, args),
    costs: [],
  }));
}

function repeat(clip: ReadyClip, ffmpeg: FfmpegExecutable): Source {
  const file = clip.file.replace(/\.mp4$/, `-x${LONG_REPEATS}.mp4`);
  if (!existsSync(file)) {
    const loop = ['-v', 'error', '-nostdin', '-y', '-stream_loop', String(LONG_REPEATS - 1), '-i', clip.file];
    const made = spawnSync(ffmpeg.path, [...loop, '-c', 'copy', file], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`cannot make ${file}: ${made.stderr}`);
  }
  return { label: '10-minutes', file, seconds: clip.seconds * LONG_REPEATS, clip: null };
}

async function row(source: Source, variant: Variant): Promise<Row> {
  const { costs, output } = variant;
  const wall = costs.map((cost) => cost.wallSeconds);
  const peaks = costs.map((cost) => cost.peakMiB).filter((peak) => peak !== null);
  const wallSeconds = median(wall) ?? 0;
  const figures = source.clip ? await measureLeaks({ source: source.file, output, truth: source.clip.truth }) : null;
  return {
    clip: source.label,
    variant: variant.name,
    rounds: costs.length,
    'x real time': rounded(source.seconds / wallSeconds, 2),
    'wall s': rounded(wallSeconds, 2),
    'p99 wall s': rounded(percentile(wall, 99), 2),
    'CPU s': rounded(median(costs.map((cost) => cost.cpuSeconds)), 2),
    'peak MiB': rounded(median(peaks), 0),
    'size ratio': rounded(statSync(output).size / statSync(source.file).size, 2),
    'PSNR outside dB': figures?.psnrOutsideDb ?? null,
    'leaked per 1000': figures?.leakedPer1000 ?? null,
  };
}

/** Runs every variant in turn, in alternating order, so that a busy spell of the machine falls on all of them. */
async function measure(source: Source, programs: Programs, rounds: number) {
  const all = variants(source, programs);
  for (let round = 0; round < rounds; round++) {
    for (const variant of round % 2 === 0 ? all : all.toReversed()) {
      const cost = await variant.run();
      variant.costs.push(cost);
      console.error(`${source.label} round ${round + 1}: ${variant.name} ${cost.wallSeconds.toFixed(1)} s`);
    }
  }
  const rows: Row[] = [];
  for (const variant of all) rows.push(await row(source, variant));
  const [blur, ...others] = all.map(({ name, costs }) => ({
    name,
    wall: median(costs.map((c) => c.wallSeconds)) ?? 0,
  }));
  const ratios = others.map(({ name, wall }) => ({ name, ratio: rounded(blur!.wall / wall, 3)! }));
  return {
    clip: source.label,
    seconds: source.seconds,
    ratios,
    rows,
    costs: all.map(({ name, costs }) => ({ name, costs })),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      long: { type: 'boolean', default: false },
      'long-rounds': { type: 'string', default: '1' },
      '1080p': { type: 'boolean', default: false },
      gstreamer: { type: 'boolean', default: false },
    },
  });
  Log.setLevel(AV_LOG_ERROR);
  const ffmpeg = await findFfmpeg();
  const gstreamer = values.gstreamer ? findGstreamer() : null;
  const photo = { photo: join(TESTDATA_FOLDER, PHOTO), boxes: photoBoxes(PHOTO), seconds: SHORT_SECONDS };
  const clip = await cachedClip('bench-10s', photo);
  const short: Source = { label: '10-seconds', file: clip.file, seconds: clip.seconds, clip };
  const rounds = Number(values.rounds);
  const results = [await measure(short, { ffmpeg, gstreamer }, rounds)];
  const plain: Programs = { ffmpeg, gstreamer: null };
  if (values['1080p']) {
    const large = await cachedClip('bench-10s-1080p', { ...photo, width: 1920, height: 1080 });
    results.push(
      await measure({ label: '1080p', file: large.file, seconds: large.seconds, clip: large }, plain, rounds),
    );
  }
  if (values.long) results.push(await measure(repeat(clip, ffmpeg), plain, Number(values['long-rounds'])));
  console.log(`transcode: ${ffmpeg.version}, libx264 ultrafast, sound copied`);
  report(
    'blur',
    results.flatMap((result) => result.rows),
    { ffmpeg, gstreamer, results },
  );
  if (gstreamer) console.log(`gstreamer: ${gstreamer.version}, faceblur at its defaults, x264enc ultrafast`);
  for (const { clip: label, ratios } of results) {
    for (const { name, ratio } of ratios) console.log(`${label}: blur takes ${ratio} x the time of ${name}`);
  }
}

await main();
