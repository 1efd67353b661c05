import { Encoder, FFmpegError, Frame, Muxer, Rational, SoftwareScaleContext } from 'node-av';
import {
  AV_CHANNEL_LAYOUT_MONO,
  AV_PIX_FMT_YUV420P,
  AV_PIX_FMT_YUV444P,
  AV_SAMPLE_FMT_FLT,
  FF_ENCODER_AAC,
  FF_ENCODER_LIBOPUS,
  FF_ENCODER_LIBVPX_VP8,
  FF_ENCODER_LIBVPX_VP9,
  FF_ENCODER_LIBX264,
  SWS_BICUBIC,
} from 'node-av/constants';

export type ClipCodec = 'h264' | 'vp8' | 'vp9';

export interface ClipWriterOptions {
  /** The file's ending chooses the container. */
  output: string;
  width: number;
  height: number;
  fps: number;
  /** Length of the 440 Hz tone. */
  seconds: number;
  /** Defaults to VP8 in WebM and H.264 elsewhere. */
  codec?: ClipCodec;
}

const SAMPLE_RATE = 48_000;
const TONE_HZ = 440;
/** The level of FFmpeg's `sine` source. */
const TONE_AMPLITUDE = 1 / 8;
const TONE_FRAME_SAMPLES = 1024;

function videoEncoder(codec: ClipCodec, fps: number): Promise<Encoder> {
  const framerate = new Rational(fps, 1);
  if (codec === 'h264') {
    return Encoder.create(FF_ENCODER_LIBX264, {
      context: { framerate, maxBFrames: 2 },
      options: { preset: 'veryfast', crf: 16 },
    });
  }
  // High quality at a speed fit for tests; 8 Mbit/s is a ceiling that crf seldom reaches at 720p.
  return Encoder.create(codec === 'vp8' ? FF_ENCODER_LIBVPX_VP8 : FF_ENCODER_LIBVPX_VP9, {
    context: { framerate, bitRate: '8M', gopSize: 128 },
    options: { crf: 12, deadline: 'realtime', 'cpu-used': 6 },
  });
}

/** Writes a clip frame by frame in process, with a tone as its sound. */
export class ClipWriter {
  readonly #options: ClipWriterOptions;
  readonly #muxer: Muxer;
  readonly #video: Encoder;
  readonly #audio: Encoder;
  readonly #videoIndex: number;
  readonly #audioIndex: number;
  readonly #canvas = new Frame();
  readonly #scaler = new SoftwareScaleContext();
  /** The canvas's Y, Cb and Cr, each `width` x `height` in rows of `strides[i]` bytes: draw here, then `write()`. */
  readonly planes: readonly Uint8Array[];
  readonly strides: readonly number[];
  #frames = 0;
  #samples = 0;

  private constructor(options: ClipWriterOptions, muxer: Muxer, video: Encoder, audio: Encoder) {
    const { width, height } = options;
    this.#options = options;
    this.#muxer = muxer;
    this.#video = video;
    this.#audio = audio;
    this.#videoIndex = muxer.addStream(video);
    this.#audioIndex = muxer.addStream(audio);
    this.#canvas.alloc();
    Object.assign(this.#canvas, { width, height, format: AV_PIX_FMT_YUV444P });
    FFmpegError.throwIfError(this.#canvas.getBuffer(), 'allocate the canvas');
    this.planes = this.#canvas.data!;
    this.strides = this.#canvas.linesize;
    this.#scaler.getContext(width, height, AV_PIX_FMT_YUV444P, width, height, AV_PIX_FMT_YUV420P, SWS_BICUBIC);
  }

  static async create(options: ClipWriterOptions): Promise<ClipWriter> {
    const webm = options.output.endsWith('.webm');
    const muxer = await Muxer.open(options.output);
    const video = await videoEncoder(options.codec ?? (webm ? 'vp8' : 'h264'), options.fps);
    const audio = await Encoder.create(webm ? FF_ENCODER_LIBOPUS : FF_ENCODER_AAC, {
      context: { bitRate: '96k' },
      autoResample: true,
    });
    return new ClipWriter(options, muxer, video, audio);
  }

  /** Encodes the canvas as the next frame, and the sound up to its end. */
  async write(): Promise<void> {
    const { width, height, fps, seconds } = this.#options;
    const until = Math.min(seconds, (this.#frames + 1) / fps) * SAMPLE_RATE;
    while (this.#samples < until)
      await this.#writeTone(Math.min(TONE_FRAME_SAMPLES, seconds * SAMPLE_RATE - this.#samples));
    using frame = new Frame();
    frame.alloc();
    Object.assign(frame, { width, height, format: AV_PIX_FMT_YUV420P });
    FFmpegError.throwIfError(frame.getBuffer(), 'allocate a frame');
    FFmpegError.throwIfError(await this.#scaler.scaleFrame(frame, this.#canvas), 'convert a frame');
    frame.timeBase = new Rational(1, fps);
    frame.pts = BigInt(this.#frames++);
    await this.#encode(this.#video, frame, this.#videoIndex);
  }

  /** Finishes the file. */
  async close(): Promise<void> {
    await this.#encode(this.#video, null, this.#videoIndex);
    await this.#encode(this.#audio, null, this.#audioIndex);
    this.#video.close();
    this.#audio.close();
    await this.#muxer.close();
    this.#scaler.freeContext();
    this.#canvas.free();
  }

  async #writeTone(wanted: number): Promise<void> {
    const nbSamples = Math.floor(wanted);
    const tone = new Float32Array(nbSamples);
    const step = (2 * Math.PI * TONE_HZ) / SAMPLE_RATE;
    for (let i = 0; i < nbSamples; i++) tone[i] = TONE_AMPLITUDE * Math.sin(step * (this.#samples + i));
    using frame = Frame.fromAudioBuffer(Buffer.from(tone.buffer), {
      nbSamples,
      format: AV_SAMPLE_FMT_FLT,
      sampleRate: SAMPLE_RATE,
      channelLayout: AV_CHANNEL_LAYOUT_MONO,
      timeBase: { num: 1, den: SAMPLE_RATE },
      pts: BigInt(this.#samples),
    });
    this.#samples += nbSamples;
    await this.#encode(this.#audio, frame, this.#audioIndex);
  }

  async #encode(encoder: Encoder, frame: Frame | null, stream: number): Promise<void> {
    for (const packet of await encoder.encodeAll(frame)) {
      await this.#muxer.writePacket(packet, stream);
      packet.free();
    }
    if (!frame) await this.#muxer.writePacket(null, stream);
  }
}
