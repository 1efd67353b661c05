import { Transform, type TransformCallback } from 'node:stream';

/** FFmpeg goes where this header says (RFC 2326 §12.25), and only then. */
const REDIRECT = 'location:';

/**
 * Passes a server's RTSP bytes on until they could send the client elsewhere: then it fails. It reads no messages, as a
 * client might read them another way; the word itself must not come at all before PLAY, in any line, broken by carriage
 * returns or not.
 */
export class RedirectGuard extends Transform {
  #tail = '';
  #isPlaying = false;

  /** Media follow; a redirect has no effect from here on. */
  playing(): void {
    this.#isPlaying = true;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (!this.#isPlaying) {
      const seen = this.#tail + chunk.toString('latin1').replaceAll('\r', '').toLowerCase();
      if (seen.includes(REDIRECT)) {
        done(new Error('it redirects elsewhere'));
        return;
      }
      this.#tail = seen.slice(1 - REDIRECT.length);
    }
    done(null, chunk);
  }
}
