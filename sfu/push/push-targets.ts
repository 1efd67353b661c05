import type { Logger } from 'pino';
import type { MediaSource } from '../media-source.ts';
import type { RedactedOutput } from '../view/redacted-output.ts';
import { RtmpPush } from './rtmp-push.ts';

export interface PushTargetsOptions {
  readonly output: RedactedOutput;
  readonly source: MediaSource;
  readonly allowPrivate: boolean;
  readonly requestKeyframe: () => void;
  readonly log: Logger;
}

/** The RTMP targets of one publish: what leaves is pushed to each of them, and none can hold it up. */
export class PushTargets {
  readonly #options: PushTargetsOptions;
  readonly #pushes = new Map<string, RtmpPush>();
  readonly #untap: () => void;
  readonly #ending = new Set<Promise<void>>();

  constructor(options: PushTargetsOptions) {
    this.#options = options;
    this.#untap = options.output.addTap({
      onVideo: (frame) => {
        for (const push of this.#pushes.values()) push.pushVideo(frame);
      },
      onAudio: (packet) => {
        for (const push of this.#pushes.values()) push.pushAudio(packet);
      },
    });
  }

  /** Starts what is new among the URLs and ends what is no longer there. */
  set(urls: readonly string[]): void {
    for (const [url, push] of this.#pushes) {
      if (urls.includes(url)) continue;
      this.#pushes.delete(url);
      this.#end(push);
    }
    for (const url of urls) if (!this.#pushes.has(url)) this.#pushes.set(url, this.#start(url));
  }

  async close(): Promise<void> {
    this.#untap();
    this.set([]);
    await Promise.all(this.#ending);
  }

  #start(url: string): RtmpPush {
    const { source, allowPrivate, requestKeyframe, log } = this.#options;
    const push: RtmpPush = RtmpPush.create({
      url,
      allowPrivate,
      timelineMs: (kind, pts) => source.timelineMs(kind, pts),
      onKeyframeNeeded: requestKeyframe,
      onState: ({ state, reason, fault }) => log.info({ target: push.host, state, reason, fault }, 'push state'),
      log,
    });
    return push;
  }

  #end(push: RtmpPush): void {
    const ended = push.close();
    this.#ending.add(ended);
    void ended.finally(() => this.#ending.delete(ended));
  }
}
