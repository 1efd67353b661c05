import { Packet } from 'node-av';
import type { InputFile } from './media/input-file.ts';
import type { VideoDecoder } from './media/video-decoder.ts';
import { closeFrame, pictureBytes, type VideoFrame } from './media/video-frame.ts';

/** Decoded pictures that may wait for the detector, and the bytes that they may take, but for one picture. */
const MAX_WAITING = 12;
const MAX_WAITING_BYTES = 24 * 2 ** 20;

/**
 * Reads a file's pictures ahead of whoever asks for them, a bounded few, so that decoding goes on while a model runs.
 * Audio packets are handed out as they come.
 */
export class FrameSource {
  readonly #input: InputFile;
  readonly #decoder: VideoDecoder;
  readonly #onAudio: (packet: Packet) => Promise<void>;
  readonly #ready: VideoFrame[] = [];
  #reading: Promise<void> | undefined;
  #ended = false;
  #closed = false;

  /** @param onAudio takes the packet over */
  constructor(input: InputFile, decoder: VideoDecoder, onAudio: (packet: Packet) => Promise<void>) {
    this.#input = input;
    this.#decoder = decoder;
    this.#onAudio = onAudio;
  }

  /** @returns the next picture, the caller's to close, or null at the end */
  async next(): Promise<VideoFrame | null> {
    while (this.#ready.length === 0 && !this.#ended) {
      this.#startReading();
      await this.#reading;
    }
    const frame = this.#ready.shift() ?? null;
    this.#startReading();
    return frame;
  }

  /** Frees what was read and not asked for. */
  async close(): Promise<void> {
    this.#closed = true;
    // Whoever asked for pictures has been told already why reading failed.
    await this.#reading?.catch(() => undefined);
    for (const frame of this.#ready.splice(0)) closeFrame(frame);
  }

  get #isFull(): boolean {
    const [first] = this.#ready;
    if (!first) return false;
    return this.#ready.length >= Math.min(MAX_WAITING, Math.max(1, MAX_WAITING_BYTES / pictureBytes(first)));
  }

  #startReading(): void {
    if (this.#reading || this.#ended || this.#closed || this.#isFull) return;
    const reading = this.#read();
    this.#reading = reading;
    // A failure is thrown by the next call of next(), which awaits the same promise.
    reading.then(
      () => {
        this.#reading = undefined;
        this.#startReading();
      },
      () => undefined,
    );
  }

  async #read(): Promise<void> {
    const packet = new Packet();
    packet.alloc();
    if (!(await this.#input.read(packet))) {
      packet.free();
      this.#ready.push(...(await this.#decoder.decode(null)));
      this.#ended = true;
      return;
    }
    if (packet.streamIndex !== this.#input.video.index) {
      await this.#onAudio(packet);
      return;
    }
    try {
      this.#ready.push(...(await this.#decoder.decode(packet)));
    } finally {
      packet.free();
    }
  }
}
