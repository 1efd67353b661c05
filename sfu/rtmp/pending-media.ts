import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import type { MediaSink } from '../media-source.ts';

/** More than a source sends before its sink is there; what is beyond is dropped, up to the next keyframe. */
const MAX_ITEMS = 512;
const MAX_BYTES = 16 << 20;

type MediaTarget = Pick<MediaSink, 'onVideo' | 'onAudio' | 'onLoss'>;

/** Keeps what a source brings until somebody takes it. Starts with a keyframe, and stays bounded. */
export class PendingMedia implements MediaTarget {
  #items: (
    | { readonly kind: 'video'; readonly frame: CodedVideo }
    | { readonly kind: 'audio'; readonly packet: CodedAudio }
  )[] = [];
  #bytes = 0;
  /** For a keyframe. */
  #isWaiting = true;
  #wasCut = false;

  onVideo(frame: CodedVideo): void {
    if (this.#isWaiting && !frame.isKeyframe) return;
    if (!this.#makeRoom(frame.data.length, frame.isKeyframe)) return;
    this.#isWaiting = false;
    this.#items.push({ kind: 'video', frame });
  }

  onAudio(packet: CodedAudio): void {
    if (this.#makeRoom(packet.data.length, false)) this.#items.push({ kind: 'audio', packet });
  }

  onLoss(): void {
    this.#clear();
  }

  /** Hands over what it holds, and is empty. */
  flushInto(sink: MediaTarget): void {
    const items = this.#items;
    if (this.#wasCut) sink.onLoss();
    this.#clear();
    for (const item of items) {
      if (item.kind === 'video') sink.onVideo(item.frame);
      else sink.onAudio(item.packet);
    }
  }

  #makeRoom(bytes: number, isKeyframe: boolean): boolean {
    if (this.#items.length >= MAX_ITEMS || this.#bytes + bytes > MAX_BYTES) {
      this.#clear();
      if (!isKeyframe) return false;
    }
    this.#bytes += bytes;
    return true;
  }

  #clear(): void {
    this.#items = [];
    this.#bytes = 0;
    this.#isWaiting = true;
    this.#wasCut = true;
  }
}
