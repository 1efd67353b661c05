/** Most bytes of one coded frame; a 4K keyframe at the highest bitrates of WebRTC is under 1 MiB. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;
/** Most pieces of one: 8 MiB in packets of 1 KiB. */
export const MAX_FRAME_PIECES = 8192;

/**
 * The pieces of one frame, in order, until they are put together with a single copy. Holds on to the buffers that the
 * pieces lie in.
 */
export class FramePieces {
  readonly #maxBytes: number;
  readonly #maxPieces: number;
  readonly #buffers: Buffer[] = [];
  /** Start and end of each piece in its buffer. */
  readonly #bounds: number[] = [];
  #bytes = 0;

  constructor(maxBytes = MAX_FRAME_BYTES, maxPieces = MAX_FRAME_PIECES) {
    this.#maxBytes = maxBytes;
    this.#maxPieces = maxPieces;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Borrows `buffer` until the next `clear`. @returns false where the frame would grow past its limits */
  append(buffer: Buffer, start: number, end: number): boolean {
    if (this.#bytes + end - start > this.#maxBytes || this.#buffers.length >= this.#maxPieces) return false;
    this.#buffers.push(buffer);
    this.#bounds.push(start, end);
    this.#bytes += end - start;
    return true;
  }

  /** @returns `before`, then all pieces, in memory of its own that nothing else lies in */
  join(before: readonly Buffer[] = []): Buffer {
    let size = this.#bytes;
    for (const buffer of before) size += buffer.length;
    // Not of Buffer's pool: whoever gets the frame may hand its memory on to another thread.
    const joined = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for (const buffer of before) at += buffer.copy(joined, at);
    for (let i = 0; i < this.#buffers.length; i++) {
      at += this.#buffers[i].copy(joined, at, this.#bounds[2 * i], this.#bounds[2 * i + 1]);
    }
    return joined;
  }

  clear(): void {
    this.#buffers.length = 0;
    this.#bounds.length = 0;
    this.#bytes = 0;
  }
}
