import type { Redacted } from '../../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../../inference/live/coded-media.ts';
import type { LiveFace } from '../../../inference/live/live-engine.ts';
import type { LiveStream, StreamObserver, StreamState } from '../../../sfu/stream-types.ts';
import type { RedactedSink } from '../../../sfu/view/redacted-sinks.ts';
import type { RedactedClip } from '../../sfu/push/redacted-clip.ts';

/** A stream as a recorder sees it, to which a test sends what would leave. */
export class SentStream {
  readonly id: string;
  state: StreamState = 'idle';
  settings: LiveStream['settings'];
  keyframeRequests = 0;
  readonly #sinks = new Set<RedactedSink>();
  readonly #observers = new Set<StreamObserver>();

  constructor(id: string, settings: { record: boolean; hls: boolean }) {
    this.id = id;
    const policy = { style: 'mosaic', strength: 0.5, margin: 0.3, lookaheadFrames: 0 } as const;
    this.settings = { policy, source: null, push: [], ...settings };
  }

  /** For what takes a LiveStream, of which a recorder needs no more than this. */
  get live(): LiveStream {
    return this as unknown as LiveStream;
  }

  observe(observer: StreamObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  addSink(sink: RedactedSink): () => void {
    this.#sinks.add(sink);
    return () => this.#sinks.delete(sink);
  }

  begin(): void {
    this.#move('live');
    const requestKeyframe = (): void => {
      this.keyframeRequests++;
    };
    for (const sink of this.#sinks) sink.onBegin({ codec: 'h264', requestKeyframe });
  }

  end(): void {
    for (const sink of this.#sinks) sink.onEnd();
    this.#move('idle');
  }

  faces(faces: readonly Pick<LiveFace, 'track' | 'visible' | 'identity'>[]): void {
    for (const observer of this.#observers) observer.onFaces?.(faces as LiveFace[]);
  }

  video(frame: Redacted<CodedVideo>, timeMs: number): void {
    for (const sink of this.#sinks) sink.onVideo(frame, timeMs);
  }

  audio(packet: CodedAudio, timeMs: number): void {
    for (const sink of this.#sinks) sink.onAudio(packet, timeMs);
  }

  /**
   * Sends a clip, times from `startMs`, much faster than it plays, without more than ffmpeg can take.
   * @param from ms of the clip
   */
  async send(clip: RedactedClip, startMs = 0, { from = 0, until = Number.POSITIVE_INFINITY, sound = true } = {}) {
    let next = clip.audio.findIndex(({ pts }) => pts / 48 >= from);
    for (const frame of clip.video) {
      const ms = frame.pts / 90;
      if (ms < from || ms >= until) continue;
      this.video(frame, startMs + ms);
      for (; sound && next >= 0 && next < clip.audio.length && clip.audio[next]!.pts / 48 <= ms; next++) {
        const packet = clip.audio[next]!;
        this.audio(packet, startMs + packet.pts / 48);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  #move(to: StreamState): void {
    const from = this.state;
    this.state = to;
    for (const observer of this.#observers) observer.onState?.(from, to, null);
  }
}
