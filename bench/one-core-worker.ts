// One run of one variant over one clip in this process, pinned to a core by its parent; prints milliseconds as JSON.
import {
  AV_LOG_FATAL,
  AV_PIX_FMT_BGR0,
  AV_PIX_FMT_YUV420P,
  Frame,
  Log,
  SoftwareScaleContext,
  SWS_BILINEAR,
} from 'node-av';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { coverPlane } from '../inference/blur/cover-plane.ts';
import type { Redacted } from '../inference/blur/redacted.ts';
import { faceRegion } from '../inference/blur/region.ts';
import { suppress } from '../inference/detect/nms.ts';
import { openDetector } from '../inference/detect/open-detector.ts';
import { FrameSource } from '../inference/frame-source.ts';
import { InputFile } from '../inference/media/input-file.ts';
import { VideoDecoder } from '../inference/media/video-decoder.ts';
import { VideoEncoder } from '../inference/media/video-encoder.ts';
import type { VideoFrame } from '../inference/media/video-frame.ts';
import { BlurPipeline } from '../inference/pipeline.ts';
import { DEFAULT_POLICY } from '../inference/policy.ts';
import type { Detection } from '../inference/track/box.ts';
import { defaultModelLocations } from '../models/locations.ts';
import { resolveModel } from '../models/resolve.ts';

const WIDTH = 640;
const HEIGHT = 352;
const STRIDES = [8, 16, 32];

const [variant, clip] = process.argv.slice(2);
Log.setLevel(AV_LOG_FATAL);
const { entry, bytes } = await resolveModel('yunet-n', defaultModelLocations(process.env));
const input = await InputFile.open(clip!);
const decoder = await VideoDecoder.open(input.video, input.displayMatrix, 1);
const source = new FrameSource(input, decoder, async (packet) => packet.free());
const first = (await source.next())!;
const encoder = await VideoEncoder.open(first, {
  timeBase: input.video.timeBase,
  frameRate: input.video.avgFrameRate,
  threads: 1,
  preset: 'ultrafast',
  tuning: variant === 'spike' ? 'rc-lookahead=0:sync-lookahead=0' : 'cabac=1:8x8dct=1:bframes=3:b-adapt=0:weightp=0',
  crf: 23,
  maxBitrateBps: null,
});
const frames = variant === 'spike' ? await runSpike() : await runEngine();
console.log(JSON.stringify(frames));
process.exit(0);

/** What the engine does at its finest: every frame looked at, the two-second window, tracker and all. */
async function runEngine(): Promise<{ frames: number; ms: number }> {
  const pipeline = new BlurPipeline({
    detector: await openDetector(entry, bytes, 1),
    policy: DEFAULT_POLICY,
    windowFrames: 60,
    detectEveryFrames: 1,
    inputPx: WIDTH,
    sharpEveryFrames: 0,
    sharpInputPx: WIDTH,
    minScore: 0.1,
    tracker: {
      highScore: 0.3,
      birthScore: 0.15,
      belief: { neutralScore: 0.25, largeNeutralScore: 0.5, missCost: 0.1, enough: 0.3, sureScore: 0.8 },
      maxLostFrames: 30,
    },
  });
  const started = performance.now();
  let count = 0;
  const encode = async (pictures: { frame: Redacted<VideoFrame> }[]) => {
    for (const { frame } of pictures) {
      for (const packet of await encoder.encode(frame)) packet.free();
      count++;
    }
  };
  for (let frame: VideoFrame | null = first; frame; frame = await source.next())
    await encode(await pipeline.push(frame));
  for await (const picture of pipeline.flush()) await encode([picture]);
  return { frames: count, ms: performance.now() - started };
}

/** The loop that the engine was planned from: no tracker, no window, each step written the first way that works. */
async function runSpike(): Promise<{ frames: number; ms: number }> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const scaler = new SoftwareScaleContext();
  scaler.getContext(
    first.picture.width,
    first.picture.height,
    AV_PIX_FMT_YUV420P,
    WIDTH,
    HEIGHT,
    AV_PIX_FMT_BGR0,
    SWS_BILINEAR,
  );
  const small = new Frame();
  small.alloc();
  small.width = WIDTH;
  small.height = HEIGHT;
  small.format = AV_PIX_FMT_BGR0;
  small.getBuffer();
  const plane = WIDTH * HEIGHT;
  const tensor = new Float32Array(3 * plane);
  const started = performance.now();
  let count = 0;
  for (let frame: VideoFrame | null = first; frame; frame = await source.next()) {
    const { picture } = frame;
    scaler.scaleFrameSync(small, picture);
    const pixels = small.data![0]!;
    for (let i = 0, p = 0; i < plane; i++, p += 4) {
      tensor[i] = pixels[p]!;
      tensor[plane + i] = pixels[p + 1]!;
      tensor[2 * plane + i] = pixels[p + 2]!;
    }
    const outputs = await session.run({ input: new Tensor('float32', tensor, [1, 3, HEIGHT, WIDTH]) });
    picture.makeWritable();
    for (const face of decode(outputs, picture.width / WIDTH, picture.height / HEIGHT)) {
      const region = faceRegion(face, DEFAULT_POLICY);
      for (const [index, data] of picture.data!.slice(0, 3).entries()) {
        const scale = index === 0 ? 1 : 0.5;
        coverPlane(
          { data, stride: picture.linesize[index]!, width: picture.width * scale, height: picture.height * scale },
          region,
          scale,
        );
      }
    }
    // Nothing that this loop makes leaves the bench.
    for (const packet of await encoder.encode(frame as Redacted<VideoFrame>)) packet.free();
    count++;
  }
  return { frames: count, ms: performance.now() - started };
}

function decode(outputs: InferenceSession.OnnxValueMapType, toX: number, toY: number): Detection[] {
  const found: Detection[] = [];
  for (const stride of STRIDES) {
    const [cls, obj, bbox] = ['cls', 'obj', 'bbox'].map((name) => outputs[`${name}_${stride}`]!.data as Float32Array);
    for (let i = 0; i < cls!.length; i++) {
      const score = Math.sqrt(cls![i]! * obj![i]!);
      if (score < 0.3) continue;
      const w = Math.exp(bbox![i * 4 + 2]!) * stride;
      const h = Math.exp(bbox![i * 4 + 3]!) * stride;
      const x = ((i % (WIDTH / stride)) + bbox![i * 4]!) * stride - w / 2;
      const y = (Math.floor(i / (WIDTH / stride)) + bbox![i * 4 + 1]!) * stride - h / 2;
      found.push({ x: x * toX, y: y * toY, w: w * toX, h: h * toY, score });
    }
  }
  return suppress(found, 0.45);
}
