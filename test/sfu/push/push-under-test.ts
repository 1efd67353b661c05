import pino from 'pino';
import { afterEach } from 'vitest';
import { type PushStatus, RtmpPush, type RtmpPushOptions } from '../../../sfu/push/rtmp-push.ts';
import { asRedacted, type RedactedClip } from './redacted-clip.ts';

const BACKOFF = { firstMs: 100, maxMs: 400, steadyMs: 2_000 };
/** A stream's times begin anywhere, and those of picture and sound elsewhere. */
const VIDEO_ORIGIN = 987_654_321;
const AUDIO_ORIGIN = 123_456_789;
const TICK_MS = 10;

/** A push that keeps its states, fed by a clip in real time, over and over. Closed with the test. */
export class PushUnderTest {
  readonly push: RtmpPush;
  readonly statuses: PushStatus[] = [];
  readonly logged: string[] = [];
  keyframesAsked = 0;
  #feeder: NodeJS.Timeout | undefined;

  constructor(url: string, options: Partial<RtmpPushOptions> = {}) {
    this.push = RtmpPush.create({
      url,
      allowPrivate: true,
      timelineMs: (kind, pts) => (kind === 'video' ? (pts - VIDEO_ORIGIN) / 90 : (pts - AUDIO_ORIGIN) / 48),
      onKeyframeNeeded: () => this.keyframesAsked++,
      onState: (status) => this.statuses.push(status),
      log: pino({ level: 'trace' }, { write: (line: string) => this.logged.push(line) }),
      backoff: BACKOFF,
      ...options,
    });
    open.add(this);
  }

  get waits(): PushStatus[] {
    return this.statuses.filter(({ state }) => state === 'waiting');
  }

  get lives(): number {
    return this.statuses.filter(({ state }) => state === 'live').length;
  }

  /** Feeds the clip from its start, `times` over. Resolves when it is through. */
  feed(clip: RedactedClip, times = Number.POSITIVE_INFINITY): Promise<void> {
    const lengthMs = (clip.video.length * 1000) / 30;
    const items = [
      ...clip.video.map((frame) => ({ ms: frame.pts / 90, frame, packet: null })),
      ...clip.audio.map((packet) => ({ ms: packet.pts / 48, frame: null, packet })),
    ].sort((a, b) => a.ms - b.ms);
    const start = performance.now();
    let next = 0;
    return new Promise((fulfil) => {
      this.#feeder = setInterval(() => {
        const now = performance.now() - start;
        for (;;) {
          const round = Math.floor(next / items.length);
          const { ms, frame, packet } = items[next % items.length]!;
          const dueMs = ms + round * lengthMs;
          if (round >= times) {
            this.stopFeeding();
            fulfil();
          }
          if (round >= times || dueMs > now) return;
          next++;
          if (frame) this.push.pushVideo(asRedacted({ ...frame, pts: VIDEO_ORIGIN + Math.round(dueMs * 90) }));
          else this.push.pushAudio({ data: packet.data, pts: AUDIO_ORIGIN + Math.round(dueMs * 48) });
        }
      }, TICK_MS);
    });
  }

  stopFeeding(): void {
    clearInterval(this.#feeder);
  }
}

const open = new Set<PushUnderTest>();

afterEach(async () => {
  for (const one of open) one.stopFeeding();
  await Promise.all([...open].map(({ push }) => push.close()));
  open.clear();
});
