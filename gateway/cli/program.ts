import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { VIDEO_CODECS, type VideoCodec } from '../../inference/media/output-kind.ts';
import { BLUR_STYLES, type BlurStyle } from '../../inference/policy.ts';
import { wantsStack } from '../config.ts';
import { exitCodeOf } from '../errors.ts';
import type { BlurCommand } from './blur.ts';
import type { DetectCommand } from './detect.ts';
import type { ModelsCommand } from './models.ts';
import type { WorkerCommand } from './worker.ts';

const HELP = `
Exit codes:
  0  done
  1  our fault: a failure inside, or dependencies not installed
  2  the input's or the user's: bad option, unreadable video, folder not writable
  128+n  stopped by signal n (130 for Ctrl-C); nothing is written

Examples:
  $ faceblur blur street.mp4 -o street-blurred.mp4
  $ faceblur serve            then open http://127.0.0.1:8080
  $ faceblur detect group.jpg

Configuration is environment variables, or a .env file in the working folder; .env.example lists them.`;

const BLUR_HELP = `
Every frame is inspected and every face found is covered. Sound is kept. The output appears under its name only once
it is whole: a run that fails or is stopped leaves what was there before. Watch the result before you publish it: no
detector finds every face.

--keep leaves the people whom photos show as they are, --only covers nobody else; each may be given more than once. A
photo is one person, a folder of photos is one person, a folder of folders is one person each. A photo shows one face,
from the front, 32 pixels wide or more; several photos of a person are better than one. The video is then read twice.
A face becomes visible only where three good looks at it agree: whoever is small, blurred, turned away or too much like
somebody else stays covered, in either mode.

Examples:
  $ faceblur blur in.mp4 -o out.mp4
  $ faceblur blur in.mp4 -o out.mp4 --strength 1 --margin 0.5     coarser blocks, wider masks
  $ faceblur blur in.mov -o out.webm --codec av1                  the name's ending chooses the container
  $ faceblur blur in.mp4 -o out.mp4 --keep ann.jpg --keep bob/    everyone but these two
  $ faceblur blur in.mp4 -o out.mp4 --only people/                these only
  $ faceblur blur in.mp4 -o out.mp4 --report out.json --quiet     for scripts`;

const SERVE_HELP = `
Serves the page, the API, WHIP and WHEP on PORT (8080), RTMP on RTMP_PORT (1935) and WebRTC's media on RTC_PORT
(40000, UDP and TCP). Everything it writes goes below DATA_DIR (./data). .env.example lists all variables.

Examples:
  $ faceblur serve
  $ PORT=9000 RTMP_PORT=1936 RTC_PORT=41000 faceblur serve`;

const WORKER_HELP = `
Takes jobs from the queue of the server with the same DATABASE_URL, or DATA_DIR on the same machine, and REDIS_URL where
that is set; run it on as many machines as you like. JOB_CONCURRENCY (1) is how many jobs it works on at a time,
JOBS_PER_OWNER (4) how many of one owner run anywhere. It listens on no port.

On SIGTERM or Ctrl-C it stops what it is at and hands it back: another worker begins it again. If it is killed, another
takes its jobs over after 20 seconds. A job that fails is tried 5 times, then it is dead:
  GET  /v1/jobs?state=dead         lists dead jobs
  POST /v1/jobs/{id}/redrive       queues one again

Examples:
  $ faceblur worker
  $ DATABASE_URL=postgres://user:password@db/faceblur REDIS_URL=redis://cache faceblur worker
  $ faceblur worker --leave-after 60       ends when it found nothing to do for a minute, as for a batch`;

const DETECT_HELP = `
Reads JPEG, PNG and WebP, turned as their Exif data asks, up to 50 MB and 100 megapixels; nothing is written. Prints a
line a picture and one a face: score 0..1, left, top, width, height in pixels of the picture as shown.

With --json, an array with one object for each picture, in their order:
  { "path", "width", "height", "faces": [ { "box": [x, y, w, h], "score", "landmarks" } ], "model", "tookMs" }
where landmarks are [[x, y] × 5] (right eye, left eye, nose, right and left corner of the mouth) or null for a detector
without; for a picture that can't be read it is { "path", "error" }. The exit code is then 2, after all others had their
turn.

FACEBLUR_DETECTOR chooses the detector; faceblur models lists them.

Examples:
  $ faceblur detect group.jpg
  $ faceblur detect --json photos/*.jpg > faces.json`;

const MODELS_HELP = `
* marks the detector that is used, yunet-n (ssd-mobilenet-v1 where that can't be had) or the one that FACEBLUR_DETECTOR
names, and the recogniser, which FACEBLUR_RECOGNISER names. Listing opens no model. --load loads each that is here, in a
process of its own, and tells what memory that adds (ONNX Runtime and its buffers included), how long it takes, and how
long a run does on one thread: a detector's look at 1280×720, else one face.

A detector of your own (SCRFD, YOLO-face, RetinaFace or YuNet as ONNX) is listed once the folder FACEBLUR_MODELS_DIR
holds it and a manifest.json with an entry for it, written like those in models/manifest.json with the source
{ "type": "file" }; models/families.ts tells what each family needs.

Examples:
  $ faceblur models
  $ faceblur models --load
  $ FACEBLUR_MODELS_DIR=~/models FACEBLUR_DETECTOR=my-scrfd faceblur blur in.mp4 -o out.mp4`;

/**
 * Runs one `faceblur` command line, without the program's own name. Failures become one line on stderr.
 * @returns the exit code
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const outcome = { exitCode: 0 };
  try {
    await createProgram(outcome).parseAsync(args, { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`faceblur: ${oneLine(error instanceof Error ? error.message : String(error))}\n`);
    if (wantsStack() && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

function createProgram(outcome: { exitCode: number }): Command {
  const program = new Command('faceblur')
    .description('Covers every face in a video. Nothing leaves this machine.')
    .version(versionOfPackage())
    .addHelpText('after', HELP);
  prepare(program);

  const blur = program
    .command('blur')
    .summary('cover every face in a video file')
    .description('Covers every face in a video file, or all but some, and writes a new file.')
    .argument('<in>', 'video to read')
    .requiredOption('-o, --output <file>', 'video to write: .mp4, .m4v, .mov, .mkv or .webm; replaced if it exists')
    .option(
      '--style <style>',
      'how a face is covered: mosaic, solid or gaussian, the weakest (default: mosaic)',
      parseStyle,
    )
    .option('--strength <0..1>', 'adds above a floor that already cannot be undone (default: 0.5)', parseShare)
    .option('--margin <0..1>', 'how far the mask reaches past the face (default: 0.3)', parseShare)
    .option('--codec <codec>', 'h264, vp9 or av1 (default: vp9 in .webm, else h264)', parseCodec)
    .option('--keep-metadata', 'keep title, artist, date and the like; never a place or a device')
    .option('--keep <path>', 'leave this person visible: a photo or a folder; repeatable', collect)
    .option('--only <path>', 'cover this person and nobody else; repeatable', collect)
    .option('--report <file>', 'write a JSON report of every face and frame')
    .option('--quiet', 'no progress and no summary; warnings and errors still show')
    .addHelpText('after', BLUR_HELP)
    .action(async (input: string, command: BlurCommand) => {
      const { runBlur } = await import('./blur.ts');
      outcome.exitCode = await runBlur(input, command);
    });
  prepare(blur);

  const serve = program
    .command('serve')
    .summary('run the gateway with its start page')
    .description(
      'Runs the gateway: live streams in by WebRTC and RTMP, out blurred; a page and an API. On this machine only.',
    )
    .addHelpText('after', SERVE_HELP)
    .action(async () => {
      const { runServe } = await import('./serve.ts');
      outcome.exitCode = await runServe();
    });
  prepare(serve);

  const worker = program
    .command('worker')
    .summary('work on queued jobs, on this machine or others')
    .description('Works on the jobs that a gateway queues: analysing, rendering and finalising videos.')
    .option('--leave-after <polls>', 'end after so many looks in a row, one a second, found no job', parseCount)
    .addHelpText('after', WORKER_HELP)
    .action(async (command: WorkerCommand) => {
      const { runWorker } = await import('./worker.ts');
      outcome.exitCode = await runWorker(command);
    });
  prepare(worker);

  const detect = program
    .command('detect')
    .summary('find the faces in pictures')
    .description('Finds the faces in still pictures and prints where they are.')
    .argument('<image...>', 'pictures to read')
    .option('--json', 'print one JSON array instead of lines')
    .addHelpText('after', DETECT_HELP)
    .action(async (images: string[], command: DetectCommand) => {
      const { runDetect } = await import('./detect.ts');
      outcome.exitCode = await runDetect(images, command);
    });
  prepare(detect);

  const models = program
    .command('models')
    .summary('list the models: which there are, where they are, what they cost')
    .description('Lists the models that can be used, where each is found, and which detector is the default.')
    .option('--json', 'print a JSON array instead of a table')
    .option('--load', 'load each that is here and measure its memory and time')
    .addHelpText('after', MODELS_HELP)
    .action(async (command: ModelsCommand) => {
      const { runModels } = await import('./models.ts');
      outcome.exitCode = await runModels(command);
    });
  prepare(models);
  return program;
}

/** Makes commander throw instead of exit, and say what is wrong in one line. */
function prepare(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(`faceblur: ${oneLine(text.replace(/^error: /, ''))}\n`),
  });
}

function parseStyle(value: string): BlurStyle {
  const style = BLUR_STYLES.find((name) => name === value);
  if (style) return style;
  throw new InvalidArgumentError(`There is no such style; available: ${BLUR_STYLES.join(', ')}`);
}

function parseCodec(value: string): VideoCodec {
  const codec = VIDEO_CODECS.find((name) => name === value);
  if (codec) return codec;
  throw new InvalidArgumentError(`There is no such codec; available: ${VIDEO_CODECS.join(', ')}`);
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function parseShare(value: string): number {
  const number = /^(\d+(\.\d*)?|\.\d+)$/.test(value) ? Number(value) : Number.NaN;
  if (number >= 0 && number <= 1) return number;
  throw new InvalidArgumentError('It must be a number from 0 to 1');
}

function parseCount(value: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number, 1 or more');
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}

function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return version;
}
