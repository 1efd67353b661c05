import type { types } from 'mediasoup';
import type { ViewerReport } from '../bitrate.ts';
import { SfuError } from '../errors.ts';
import type { ViewGroup } from './view-group.ts';

/** An estimate that was not renewed for so long says nothing any more. */
const ESTIMATE_LIFETIME_MS = 5000;

/** One who watches: a transport on a view group and the consumers on it. */
export class Viewer {
  readonly group: ViewGroup;
  readonly transport: types.WebRtcTransport;
  readonly #consumers = new Map<types.MediaKind, types.Consumer>();
  #availableBps: number | null = null;
  /** Packets sent, and sent again, at the last report. */
  #counts = { packets: 0, again: 0 };
  #estimatedAt = 0;

  private constructor(group: ViewGroup, transport: types.WebRtcTransport) {
    this.group = group;
    this.transport = transport;
    transport.on('trace', (event) => {
      if (event.type !== 'bwe') return;
      const available = (event.info as { availableBitrate?: unknown }).availableBitrate;
      if (typeof available !== 'number') return;
      this.#availableBps = available;
      this.#estimatedAt = performance.now();
    });
  }

  /** @param iceConsentTimeout seconds of silence after which it is gone */
  static async create(group: ViewGroup, iceConsentTimeout: number): Promise<Viewer> {
    const transport = await group.createTransport({ iceConsentTimeout });
    const viewer = new Viewer(group, transport);
    await transport.enableTraceEvent(['bwe']);
    return viewer;
  }

  /**
   * @param mid of the viewer's own section; without one it starts paused
   * @throws SfuError 'no-compatible-codec' | 'bad-parameters'
   */
  async consume(kind: types.MediaKind, rtpCapabilities: types.RtpCapabilities, mid?: string): Promise<types.Consumer> {
    if (this.#consumers.has(kind)) throw new SfuError('bad-parameters', `its ${kind} is consumed already`);
    const { group, transport } = this;
    try {
      const options = { rtpCapabilities, ...(mid === undefined ? { paused: true } : { mid }) };
      const consumer = await (kind === 'video' ? group.video : group.audio).consume(transport, options);
      this.#consumers.set(kind, consumer);
      consumer.observer.once('close', () => this.#consumers.delete(kind));
      return consumer;
    } catch (cause) {
      throw new SfuError('no-compatible-codec', `this player can't play the stream's ${kind}`, { cause });
    }
  }

  /** What its network said lately. */
  async report(): Promise<ViewerReport> {
    const video = this.#consumers.get('video');
    const stats = video && !video.closed ? await video.getStats() : [];
    const sent = stats.find((stat) => stat.type === 'outbound-rtp');
    const counts = { packets: sent?.packetCount ?? 0, again: sent?.packetsRetransmitted ?? 0 };
    const again = (counts.again - this.#counts.again) / Math.max(1, counts.packets - this.#counts.packets);
    this.#counts = counts;
    const fresh = performance.now() - this.#estimatedAt < ESTIMATE_LIFETIME_MS;
    return {
      availableBps: fresh ? this.#availableBps : null,
      // RFC 3550 §6.4.1: an 8-bit fraction. What was sent again in the same stream does not count there any more.
      lossFraction: sent ? Math.max(sent.fractionLost / 256, again) : null,
    };
  }

  close(): void {
    this.transport.close();
  }
}
