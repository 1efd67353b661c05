import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedAudio, CodedVideo } from '../../inference/live/coded-media.ts';
import { NativeProcess } from '../pull/native-process.ts';
import { PinnedRelay } from '../pull/pinned-relay.ts';
import type { RemoteUrl } from '../pull/remote-url.ts';
import { PushClock } from './push-clock.ts';
import type { PushInput, PushMessage, PushOrder } from './push-messages.ts';

export interface PushConnectionOptions {
  readonly url: RemoteUrl;
  /** The checked address of the URL's host. */
  readonly address: string;
  timelineMs(kind: 'video' | 'audio', pts: number): number;
  /** Nothing can be sent until a keyframe comes. */
  onKeyframeNeeded(): void;
  /** The target takes what it is sent. */
  onLive(): void;
  readonly log: Logger;
  /** Longest time for a target to take one picture, and for the first to be taken. */
  readonly stallTimeoutMs: number;
}

/** Why a connection ended, and whose fault that is. */
export interface PushEnd {
  readonly reason: string;
  readonly fault: 'target' | 'ours';
}

const ENTRY = join(import.meta.dirname, 'push-process.ts');

/** What the process may have that the target has not taken: about 2 s. */
const MAX_UNSENT = 160;
const MAX_UNSENT_BYTES = 8 << 20;
/** Sending goes on, with a keyframe, when the target has caught up this far. */
const RESUME_UNSENT = 20;
const RESUME_UNSENT_BYTES = 2 << 20;
/** FFmpeg's queue lets so many packets through before the target has taken them. */
const LIVE_AFTER = 4;
const GOODBYE_MS = 1_000;

/** One connection to a push target, in a process of its own. Ends at the first thing that goes wrong. */
export class PushConnection {
  readonly #options: PushConnectionOptions;
  readonly #relay: PinnedRelay;
  readonly #process: NativeProcess;
  readonly #clock = new PushClock();
  readonly #ended = Promise.withResolvers<PushEnd>();
  /** Sizes of what the process has not reported as done, oldest first. */
  readonly #unsent: number[] = [];
  #unsentBytes = 0;
  #done = 0;
  #dropped = 0;
  /** For a keyframe. */
  #isWaiting = true;
  #hasAsked = true;
  #isOver = false;
  #stall: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  private constructor(relay: PinnedRelay, options: PushConnectionOptions) {
    this.#relay = relay;
    this.#options = options;
    this.#process = new NativeProcess(ENTRY, {
      onMessage: (message) => this.#told(message as PushMessage),
      onExit: (how, lastWords) => {
        if (!this.#isOver) options.log.warn({ how, lastWords }, 'the process of a push died');
        this.#end('the process that pushes died', 'ours');
      },
    });
    this.#process.send(options.url.through(relay.port) satisfies PushOrder);
    options.onKeyframeNeeded();
  }

  static async open(options: PushConnectionOptions): Promise<PushConnection> {
    const { url, address, stallTimeoutMs: connectTimeoutMs } = options;
    return new PushConnection(
      await PinnedRelay.open({ protocol: url.protocol, address, port: url.port, connectTimeoutMs }),
      options,
    );
  }

  /** Of its process. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Resolves when its process is gone. */
  get ended(): Promise<PushEnd> {
    return this.#ended.promise;
  }

  pushVideo(frame: Redacted<CodedVideo>): void {
    if (this.#isOver) return;
    if (this.#isWaiting && !(frame.isKeyframe && this.#hasCaughtUp)) return;
    if (!this.#hasRoom(frame.data.length)) {
      this.#isWaiting = true;
      this.#hasAsked = false;
      this.#dropped++;
      return;
    }
    this.#isWaiting = false;
    const timeMs = this.#clock.video(this.#options.timelineMs('video', frame.pts));
    this.#send({ type: 'video', data: frame.data, timeMs, isKeyframe: frame.isKeyframe });
  }

  /** An Opus packet. */
  pushAudio(packet: CodedAudio): void {
    if (this.#isOver || !this.#hasRoom(packet.data.length)) return;
    const timeMs = this.#clock.audio(this.#options.timelineMs('audio', packet.pts));
    if (timeMs !== null) this.#send({ type: 'audio', data: packet.data, timeMs });
  }

  /** How often the target was too slow, and what it had missed was dropped up to a keyframe. */
  get timesDropped(): number {
    return this.#dropped;
  }

  /** Takes leave of the target where that is quick. */
  close(): Promise<void> {
    this.#end('closed', 'ours', true);
    return this.#closing!;
  }

  #send(input: PushInput & { readonly data: Uint8Array }): void {
    this.#process.send(input);
    this.#unsent.push(input.data.length);
    this.#unsentBytes += input.data.length;
    if (this.#unsent.length === 1) this.#watch();
  }

  #hasRoom(bytes: number): boolean {
    return this.#unsent.length < MAX_UNSENT && this.#unsentBytes + bytes <= MAX_UNSENT_BYTES;
  }

  get #hasCaughtUp(): boolean {
    return this.#unsent.length <= RESUME_UNSENT && this.#unsentBytes <= RESUME_UNSENT_BYTES;
  }

  #told(message: PushMessage): void {
    if (this.#isOver) return;
    if (message.type === 'failed') {
      this.#end(this.#relay.failure ?? message.message);
      return;
    }
    this.#unsentBytes -= this.#unsent.shift() ?? 0;
    if (++this.#done === LIVE_AFTER) this.#options.onLive();
    if (this.#isWaiting && !this.#hasAsked && this.#hasCaughtUp) {
      this.#hasAsked = true;
      this.#options.onKeyframeNeeded();
    }
    this.#watch();
  }

  #watch(): void {
    clearTimeout(this.#stall);
    const { stallTimeoutMs } = this.#options;
    if (this.#unsent.length === 0) return;
    this.#stall = setTimeout(
      () => this.#end(this.#relay.failure ?? `it took nothing for ${stallTimeoutMs} ms`),
      stallTimeoutMs,
    );
  }

  #end(reason: string, fault: PushEnd['fault'] = 'target', takesLeave = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#stall);
    this.#closing = this.#release(takesLeave).then(() => this.#ended.resolve({ reason, fault }));
  }

  async #release(takesLeave: boolean): Promise<void> {
    if (takesLeave) {
      this.#process.send({ type: 'finish' });
      await Promise.race([this.#process.exited, new Promise((fulfil) => setTimeout(fulfil, GOODBYE_MS))]);
    }
    await Promise.all([this.#process.kill(), this.#relay.close()]);
  }
}
