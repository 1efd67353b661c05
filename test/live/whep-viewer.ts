import { RTCPeerConnection, RtcpSrPacket, useH264, useOPUS, useVP8 } from 'werift';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { gatheredOffer, NO_ICE_SERVERS } from './peer-offer.ts';

export interface ReceivedPacket {
  readonly kind: 'video' | 'audio';
  /** As it came: header, no extension that matters, payload. */
  readonly rtp: Buffer;
  /** performance.now() */
  readonly atMs: number;
}

export interface ReceivedReport {
  readonly kind: 'video' | 'audio';
  readonly ntpMs: number;
  readonly rtpTimestamp: number;
}

/** Posts an offer to WHEP and gives back the answer. */
export type Negotiate = (offer: string) => Promise<string>;

export interface ViewerOptions {
  /** Part of what is sent to it that it never gets. */
  readonly loss?: number;
  /** Decrypts what it kept only when it is asked for it: for benches, whose machine it shares with what they measure. */
  readonly isLazy?: boolean;
}

/** A WHEP viewer that is not a browser and not built on our code: it keeps what it gets. */
export class WhepViewer {
  readonly #packets: ReceivedPacket[] = [];
  readonly reports: ReceivedReport[] = [];
  readonly #connection: RTCPeerConnection;
  /** Of a lazy viewer: decrypts one packet; each once, in the order in which they came. */
  #decrypt: ((data: Buffer) => Buffer) | undefined;
  #lastEncrypted: Buffer | undefined;
  /** From this one on they are not decrypted yet. */
  #encryptedFrom = Number.POSITIVE_INFINITY;

  private constructor(connection: RTCPeerConnection) {
    this.#connection = connection;
  }

  static async watch(codec: VideoCodec, negotiate: Negotiate, options: ViewerOptions = {}): Promise<WhepViewer> {
    const { loss = 0, isLazy = false } = options;
    const connection = new RTCPeerConnection({
      codecs: { video: [codec === 'vp8' ? useVP8() : useH264()], audio: [useOPUS()] },
      iceServers: NO_ICE_SERVERS,
      iceUseIpv6: false,
      iceAdditionalHostAddresses: ['127.0.0.1'],
    });
    const viewer = new WhepViewer(connection);
    for (const kind of ['video', 'audio'] as const) {
      const { receiver } = connection.addTransceiver(kind, { direction: 'recvonly' });
      receiver.onRtcp.subscribe((packet) => {
        if (!(packet instanceof RtcpSrPacket)) return;
        viewer.reports.push({
          kind,
          ntpMs: ntpToUnixMs(packet.senderInfo.ntpTimestamp),
          rtpTimestamp: packet.senderInfo.rtpTimestamp,
        });
      });
    }
    if (loss > 0) loseInbound(connection, loss);
    connection.onTrack.subscribe((track) => {
      const kind = track.kind as 'video' | 'audio';
      track.onReceiveRtp.subscribe((packet) => {
        const rtp = viewer.#lastEncrypted ?? packet.serialize();
        viewer.#packets.push({ kind, rtp, atMs: performance.now() });
        if (isLazy && !viewer.#decrypt) viewer.#decryptLater();
      });
    });
    const offer = await gatheredOffer(connection);
    await connection.setRemoteDescription({ type: 'answer', sdp: await negotiate(offer) });
    return viewer;
  }

  get packets(): readonly ReceivedPacket[] {
    for (; this.#encryptedFrom < this.#packets.length; this.#encryptedFrom++) {
      const packet = this.#packets[this.#encryptedFrom]!;
      this.#packets[this.#encryptedFrom] = { ...packet, rtp: this.#decrypt!(packet.rtp) };
    }
    return this.#packets;
  }

  of(kind: 'video' | 'audio'): ReceivedPacket[] {
    return this.packets.filter((packet) => packet.kind === kind);
  }

  /** Shows the receiver packets whose headers, never encrypted, are all that it needs to answer and report. */
  #decryptLater(): void {
    const { srtp } = this.#connection.dtlsTransports[0]!;
    this.#decrypt = srtp.decrypt;
    this.#encryptedFrom = this.#packets.length;
    srtp.decrypt = (data) => {
      this.#lastEncrypted = data;
      return data;
    };
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}

/** Loses packets below the receiver, so that its reports tell of it. */
function loseInbound(connection: RTCPeerConnection, loss: number): void {
  for (const { receiver } of connection.getTransceivers()) {
    const { handleRtpBySsrc } = receiver;
    receiver.handleRtpBySsrc = (packet, extensions) => {
      if (Math.random() >= loss) handleRtpBySsrc.call(receiver, packet, extensions);
    };
  }
}

/** RFC 5905 §6: 32 bits of seconds since 1900, 32 of a fraction. */
function ntpToUnixMs(ntp: bigint): number {
  return (Number(ntp >> 32n) - 2_208_988_800) * 1000 + (Number(ntp & 0xffff_ffffn) * 1000) / 2 ** 32;
}
