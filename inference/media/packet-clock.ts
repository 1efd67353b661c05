import { AV_NOPTS_VALUE, type IRational, type Packet } from 'node-av';

/** How far a stream's time may jump before it is another clock rather than a pause. Seconds. */
export interface JumpLimits {
  readonly forward: number;
  readonly backward: number;
  /** Whether all streams go over to the new clock; else the jump is one stream's own. */
  readonly isShared: boolean;
}

/** Streams of broadcasts start again from another clock, as FFmpeg's own programs take it too. */
export const BROADCAST_JUMPS: JumpLimits = { forward: 10, backward: 0.1, isShared: true };
/** In a file, a long pause is a pause; what jumps by days is damage. */
export const FILE_JUMPS: JumpLimits = { forward: 86_400, backward: 86_400, isShared: false };

/** Another stream went over to the new clock before if that clock puts this one so near to where it should go on. */
const SAME_CLOCK_SECONDS = 1.5;
/** Clocks that are remembered: a stream that lags goes over to the new one later. */
const MAX_CLOCKS = 8;

interface Lane {
  /** Added to the stream's times. Seconds. */
  offset: number;
  /** Where its next packet should begin. Seconds. */
  expected: number;
}

/**
 * Puts the packets of all streams of a file on one time line that begins at 0 and has no jumps: the start is taken
 * off, and where a clock changes under way, what follows goes on where the streams had come to.
 */
export class PacketClock {
  readonly #limits: JumpLimits;
  readonly #lanes = new Map<number, Lane>();
  /** Seconds to add, the latest clock last. */
  readonly #clocks: number[];

  /** @param startSeconds what becomes 0 */
  constructor(startSeconds: number, limits: JumpLimits) {
    this.#limits = limits;
    this.#clocks = [-startSeconds];
  }

  /** Rewrites the times of the next packet of its stream, given in `timeBase`. One without times is left as it is. */
  correct(packet: Packet, timeBase: IRational): void {
    const tick = timeBase.num / timeBase.den;
    const time = packet.dts === AV_NOPTS_VALUE ? packet.pts : packet.dts;
    if (time === AV_NOPTS_VALUE || !(tick > 0)) return;
    const raw = Number(time) * tick;
    const lane = this.#laneOf(packet.streamIndex, raw);
    if (this.#isJump(raw + lane.offset - lane.expected)) lane.offset = this.#clockFor(raw, lane);
    const ticks = BigInt(Math.round(lane.offset / tick));
    if (packet.pts !== AV_NOPTS_VALUE) packet.pts += ticks;
    if (packet.dts !== AV_NOPTS_VALUE) packet.dts += ticks;
    lane.expected = raw + lane.offset + Math.max(0, Number(packet.duration) * tick);
  }

  #laneOf(stream: number, raw: number): Lane {
    const known = this.#lanes.get(stream);
    if (known) return known;
    // A stream may begin as late as it likes.
    const offset = this.#clocks.at(-1)!;
    const lane = { offset, expected: raw + offset };
    this.#lanes.set(stream, lane);
    return lane;
  }

  #isJump(gap: number): boolean {
    return gap > this.#limits.forward || gap < -this.#limits.backward;
  }

  #clockFor(raw: number, { offset: old, expected }: Lane): number {
    const fits = (offset: number) => offset !== old && Math.abs(raw + offset - expected) <= SAME_CLOCK_SECONDS;
    const known = this.#clocks.findLast(fits);
    if (known !== undefined) return known;
    if (!this.#limits.isShared) return expected - raw;
    const reached = Math.max(...[...this.#lanes.values()].map((lane) => lane.expected));
    const offset = reached - raw;
    this.#clocks.push(offset);
    if (this.#clocks.length > MAX_CLOCKS) this.#clocks.shift();
    return offset;
  }
}
