import type { Publish } from './publish.ts';
import type { StreamStats } from './stream-types.ts';
import type { RedactedOutput } from './view/redacted-output.ts';

export interface StatsReading {
  readonly stats: StreamStats;
  /** Frames dropped since the last reading, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** Puts a publish's figures together, once a second. */
export class StatsReader {
  readonly #publish: Publish;
  readonly #output: RedactedOutput;
  readonly #viewers: () => number;
  #last: { at: number; bytesIn: number; bytesOut: number; dropped: Readonly<Record<string, number>> };
  #latest: StreamStats | null = null;

  constructor(publish: Publish, output: RedactedOutput, viewers: () => number) {
    this.#publish = publish;
    this.#output = output;
    this.#viewers = viewers;
    const { bytes } = publish.source.counters();
    this.#last = { at: performance.now(), bytesIn: bytes, bytesOut: output.bytes, dropped: {} };
  }

  get latest(): StreamStats | null {
    return this.#latest;
  }

  /** @returns null before the engine has told anything */
  read(): StatsReading | null {
    const engine = this.#publish.stats;
    if (!engine) return null;
    const last = this.#last;
    const at = performance.now();
    const bytesIn = this.#publish.source.counters().bytes;
    const bytesOut = this.#output.bytes;
    const dropped: Record<string, number> = { ...engine.frames.dropped, ...this.#publish.dropped };
    this.#last = { at, bytesIn, bytesOut, dropped };
    const bps = (bytes: number) => Math.round((bytes * 8000) / Math.max(1, at - last.at));
    const { width, height, fps, frames, faces } = engine;
    this.#latest = {
      codec: { in: this.#publish.source.video ?? 'none', out: this.#output.codec },
      width,
      height,
      fps,
      frames: {
        in: frames.in,
        detected: frames.detected,
        bracketed: frames.bracketed,
        covered: frames.covered,
        dropped,
      },
      faces,
      addedLatencyMs: this.#publish.latency.quantiles(),
      lipSyncMs: this.#publish.lipSyncMs,
      bitrateBps: { in: bps(bytesIn - last.bytesIn), out: bps(bytesOut - last.bytesOut) },
      viewers: this.#viewers(),
    };
    return { stats: this.#latest, dropped: growth(last.dropped, dropped) };
  }
}

function growth(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): Record<string, number> {
  const grown: Record<string, number> = {};
  for (const [reason, count] of Object.entries(now)) {
    // An engine that was started anew counts from 0.
    const more = count - (before[reason] ?? 0);
    if (more !== 0) grown[reason] = more > 0 ? more : count;
  }
  return grown;
}
