import type { Packet } from 'node-av';
import type { Redacted } from './blur/redacted.ts';
import { InferenceError } from './errors.ts';
import type { OutputFile } from './media/output-file.ts';
import type { VideoEncoder } from './media/video-encoder.ts';
import { closeFrame, pictureBytes, type VideoFrame } from './media/video-frame.ts';

/** Pictures that may wait for the encoder, and the bytes that they may take, but for two pictures. */
const MAX_WAITING = 12;
const MAX_WAITING_BYTES = 24 * 2 ** 20;

/** Encodes and writes pictures beside the thread that detects, in order, a bounded few at a time. */
export class FrameSink {
  readonly #encoder: VideoEncoder;
  readonly #output: OutputFile;
  readonly #track: number;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #failure: { reason: unknown } | undefined;

  constructor(encoder: VideoEncoder, output: OutputFile, track: number) {
    this.#encoder = encoder;
    this.#output = output;
    this.#track = track;
  }

  /**
   * Takes a picture over; waits only while too many are on their way.
   * @throws whatever an earlier picture failed with
   */
  async push(frame: Redacted<VideoFrame>): Promise<void> {
    if (this.#failure) {
      closeFrame(frame);
      throw this.#failure.reason;
    }
    const mayWait = Math.min(MAX_WAITING, Math.max(2, MAX_WAITING_BYTES / pictureBytes(frame)));
    this.#waiting++;
    this.#tail = this.#tail
      .then(async () => {
        if (this.#failure) closeFrame(frame);
        else await this.#write(await this.#encoder.encode(frame));
      })
      .catch((reason: unknown) => {
        this.#failure ??= { reason };
      })
      .finally(() => {
        this.#waiting--;
      });
    while (this.#waiting >= mayWait) await this.#tail;
  }

  /** Waits for all pictures and drains the encoder. */
  async flush(): Promise<void> {
    await this.#tail;
    if (this.#failure) throw this.#failure.reason;
    await this.#write(await this.#encoder.encode(null));
  }

  /** Waits for the picture that is being encoded and frees the rest. */
  async close(): Promise<void> {
    this.#failure ??= { reason: new InferenceError('closed', 'the encoder is closed') };
    await this.#tail;
  }

  async #write(packets: Packet[]): Promise<void> {
    for (const packet of packets) {
      await this.#output.write(this.#track, packet, this.#encoder.context.timeBase);
      packet.free();
    }
  }
}
