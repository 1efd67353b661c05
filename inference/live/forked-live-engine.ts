import type { Redacted } from '../blur/redacted.ts';
import { InferenceError } from '../errors.ts';
import type { CodedAudio, CodedVideo } from './coded-media.ts';
import type { EngineChild } from './engine-child.ts';
import { type FaceWithThumbnail, type FromEngine, monotonicMs, type Taken } from './engine-messages.ts';
import type { DropReason, EngineStats, LiveEngine, LiveEngineHooks, LivePolicy } from './live-engine.ts';

/** Frames and bytes that may be on their way to the process, or in its queue: somewhat more than its queue holds. */
const MAX_FRAMES_OUT = 360;
const MAX_BYTES_OUT = 20 * 2 ** 20;
/** Packets of sound likewise: some ten seconds. */
const MAX_AUDIO_OUT = 500;
/** A process that has taken nothing of what it was given for so long hangs. */
const HUNG_MS = 1000;
const WATCH_INTERVAL_MS = 100;
/** Questions to the process that may be open at a time. */
const MAX_REQUESTS = 64;

interface Request {
  readonly onVisible?: (done: boolean) => void;
  readonly onFaces?: (faces: readonly FaceWithThumbnail[]) => void;
}

/** A live engine in a process of its own, seen from the gateway's: the one place where a child's frame is taken for redacted. */
export class ForkedLiveEngine implements LiveEngine {
  readonly pid: number;
  readonly #child: EngineChild;
  readonly #hooks: LiveEngineHooks;
  readonly #requests = new Map<number, Request>();
  readonly #watchdog: NodeJS.Timeout;
  /** Sizes of the frames that the process has not taken yet. */
  readonly #out: number[] = [];
  #bytesOut = 0;
  #audioSent = 0;
  #audioTaken = 0;
  #videoTaken = 0;
  /** Turns of the watchdog without a sign of work. */
  #idleTurns = 0;
  /** The process's queue is full: nothing is sent until a keyframe that finds room. */
  #isFull = false;
  #unsent = 0;
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  #nextRequest = 1;
  #end: InferenceError | null | undefined;
  #closing: Promise<void> | undefined;

  /** @param child has been started; the engine's own from here on */
  constructor(child: EngineChild, hooks: LiveEngineHooks) {
    this.#child = child;
    this.#hooks = hooks;
    this.pid = child.pid;
    child.onMessage = (message) => this.#receive(message);
    this.#watchdog = setInterval(() => this.#watch(), WATCH_INTERVAL_MS);
    void child.gone.then((death) => this.#gone(death));
  }

  pushVideo(frame: CodedVideo): void {
    if (this.#end !== undefined) return;
    const size = frame.data.byteLength;
    const hasRoom = this.#out.length < MAX_FRAMES_OUT && this.#bytesOut + size <= MAX_BYTES_OUT;
    if (!hasRoom || (this.#isFull && !frame.isKeyframe)) {
      this.#drop(hasRoom ? 'waiting-for-keyframe' : 'queue-full');
      if (!this.#isFull) this.#child.send({ type: 'loss' });
      this.#isFull = true;
      return;
    }
    this.#isFull = false;
    if (this.#out.length === 0) this.#idleTurns = 0;
    this.#out.push(size);
    this.#bytesOut += size;
    this.#child.send({ type: 'video', frame, sentMs: monotonicMs() });
  }

  pushAudio(packet: CodedAudio): void {
    if (this.#end !== undefined || this.#audioSent - this.#audioTaken >= MAX_AUDIO_OUT) return;
    this.#audioSent++;
    this.#child.send({ type: 'audio', packet });
  }

  markLoss(): void {
    if (this.#end === undefined) this.#child.send({ type: 'loss' });
  }

  setPolicy(policy: LivePolicy): void {
    if (this.#end === undefined) this.#child.send({ type: 'policy', policy });
  }

  setVisible(track: number, visible: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const request = this.#ask({ onVisible: resolve });
      if (request === null) resolve(false);
      else this.#child.send({ type: 'visible', request, track, visible });
    });
  }

  requestKeyframe(): void {
    if (this.#end === undefined) this.#child.send({ type: 'keyframe' });
  }

  setBitrate(bitrateBps: number): void {
    if (this.#end === undefined) this.#child.send({ type: 'bitrate', bitrateBps });
  }

  faces(): Promise<readonly FaceWithThumbnail[]> {
    return new Promise((resolve) => {
      const request = this.#ask({ onFaces: resolve });
      if (request === null) resolve([]);
      else this.#child.send({ type: 'faces', request });
    });
  }

  close(): Promise<void> {
    // Nothing is left to save: native code is killed rather than talked to.
    this.#closing ??= this.#finish(null);
    return this.#closing;
  }

  #ask(request: Request): number | null {
    if (this.#end !== undefined || this.#requests.size >= MAX_REQUESTS) return null;
    const id = this.#nextRequest++;
    this.#requests.set(id, request);
    return id;
  }

  #receive(message: FromEngine): void {
    if (this.#end !== undefined) return;
    switch (message.type) {
      case 'video':
        this.#take(message.taken);
        // The process that sent it encodes nothing but Redacted<VideoFrame>.
        this.#hooks.onVideo(message.frame as Redacted<CodedVideo>);
        break;
      case 'audio':
        this.#take(message.taken);
        this.#hooks.onAudio(message.packet);
        break;
      case 'taken':
        this.#take(message.taken);
        break;
      case 'keyframe-needed':
        this.#hooks.onKeyframeNeeded();
        break;
      case 'stats':
        this.#hooks.onStats(this.#withUnsent(message.stats));
        break;
      case 'faces':
        this.#hooks.onFaces(message.faces);
        break;
      case 'visible-set':
        this.#requests.get(message.request)?.onVisible?.(message.done);
        this.#requests.delete(message.request);
        break;
      case 'thumbnails':
        this.#requests.get(message.request)?.onFaces?.(message.faces);
        this.#requests.delete(message.request);
        break;
      case 'failed':
        void this.#finish(new InferenceError(message.code, message.message));
        break;
      case 'prepared':
      case 'ready':
        break;
    }
  }

  #take({ video, audio }: Taken): void {
    if (video !== this.#videoTaken || audio !== this.#audioTaken) this.#idleTurns = 0;
    for (const size of this.#out.splice(0, video - this.#videoTaken)) this.#bytesOut -= size;
    this.#videoTaken = video;
    this.#audioTaken = audio;
  }

  #drop(reason: DropReason): void {
    this.#unsent++;
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  /** Counts turns rather than time: a gateway that was held up itself must not take that for the process's fault. */
  #watch(): void {
    const isIdle = this.#out.length === 0 && this.#audioSent === this.#audioTaken;
    this.#idleTurns = isIdle ? 0 : this.#idleTurns + 1;
    if (this.#idleTurns * WATCH_INTERVAL_MS <= HUNG_MS) return;
    void this.#finish(new InferenceError('child-hung', `the engine took nothing for ${HUNG_MS} ms`));
  }

  #withUnsent(stats: EngineStats): EngineStats {
    if (this.#unsent === 0) return stats;
    const dropped: Partial<Record<DropReason, number>> = { ...stats.frames.dropped };
    for (const [reason, count] of Object.entries(this.#dropped) as [DropReason, number][]) {
      dropped[reason] = (dropped[reason] ?? 0) + count;
    }
    return { ...stats, frames: { ...stats.frames, in: stats.frames.in + this.#unsent, dropped } };
  }

  #gone(death: InferenceError): void {
    void this.#finish(death);
  }

  /** Ends once: the first reason counts. Resolves when the process is gone. */
  async #finish(reason: InferenceError | null): Promise<void> {
    if (this.#end === undefined) {
      this.#end = reason;
      clearInterval(this.#watchdog);
      for (const { onVisible, onFaces } of this.#requests.values()) {
        onVisible?.(false);
        onFaces?.([]);
      }
      this.#requests.clear();
      const killed = this.#child.kill();
      // A process that is killed takes some time to go; whoever needs a new engine does not wait for that.
      if (reason) this.#hooks.onClosed(reason);
      await killed;
      if (!reason) this.#hooks.onClosed(null);
    }
    await this.#child.gone;
  }
}
