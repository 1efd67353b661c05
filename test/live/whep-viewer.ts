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

/** A WHEP viewer that is not a browser and not built on our code: it keeps what it gets. */
export class WhepViewer {
  readonly packets: ReceivedPacket[] = [];
  readonly reports: ReceivedReport[] = [];
  readonly #connection: RTCPeerConnection;

  private constructor(connection: RTCPeerConnection) {
    this.#connection = connection;
  }

  /** @param loss part of what is sent to it that it never gets */
  static async watch(codec: VideoCodec, negotiate: Negotiate, loss = 0): Promise<WhepViewer> {
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
        viewer.packets.push({ kind, rtp: packet.serialize(), atMs: performance.now() });
      });
    });
    const offer = await gatheredOffer(connection);
    await connection.setRemoteDescription({ type: 'answer', sdp: await negotiate(offer) });
    return viewer;
  }

  of(kind: 'video' | 'audio'): ReceivedPacket[] {
    return this.packets.filter((packet) => packet.kind === kind);
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
