import { MediaStreamTrack, PictureLossIndication, RTCPeerConnection, useH264, useOPUS, useVP8 } from 'werift';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import type { Packetizer } from '../../sfu/rtp/packetizer.ts';
import { createPacketizer } from '../../sfu/rtp/payload-formats.ts';
import { RtpStream } from '../../sfu/rtp/rtp-stream.ts';
import type { CodedClip } from './coded-clip.ts';
import { gatheredOffer, NO_ICE_SERVERS } from './peer-offer.ts';
import type { Negotiate } from './whep-viewer.ts';

/** What happens to a packet on its way, retransmissions included: it is sent now, later, more than once, or never. */
export type Wire = (send: () => void) => void;

/** Sees packets before they are sent, and gives back those to send. */
export type Network = (packet: Buffer, kind: 'video' | 'audio') => Buffer[];

export interface WhipPublisherOptions {
  readonly clip: CodedClip;
  readonly network?: Network;
  readonly wire?: Wire;
  /** Where the first picture's timestamp lies, in 90 kHz ticks; near 2^32 for the wrap. */
  readonly firstTimestamp?: number;
}

/** A WHIP client that is not a browser: sends a coded clip in real time, over and over, through a network of choice. */
export class WhipPublisher {
  readonly codec: VideoCodec;
  /** Keyframe requests that came. */
  keyframeRequests = 0;
  readonly #connection: RTCPeerConnection;
  readonly #options: WhipPublisherOptions;
  readonly #tracks: { video: MediaStreamTrack; audio: MediaStreamTrack };
  readonly #video = new RtpStream({ ssrc: 1, payloadType: 96 });
  readonly #audio = new RtpStream({ ssrc: 2, payloadType: 97 });
  readonly #packetizer: Packetizer;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #nextVideo = 0;
  #nextAudio = 0;
  #stopped = false;

  private constructor(
    connection: RTCPeerConnection,
    tracks: { video: MediaStreamTrack; audio: MediaStreamTrack },
    options: WhipPublisherOptions,
  ) {
    this.#connection = connection;
    this.#tracks = tracks;
    this.#options = options;
    this.codec = options.clip.codec;
    this.#packetizer = createPacketizer(this.codec);
  }

  static async publish(options: WhipPublisherOptions, negotiate: Negotiate): Promise<WhipPublisher> {
    const { codec } = options.clip;
    const connection = new RTCPeerConnection({
      codecs: { video: [codec === 'vp8' ? useVP8() : useH264()], audio: [useOPUS()] },
      iceServers: NO_ICE_SERVERS,
      iceUseIpv6: false,
      iceAdditionalHostAddresses: ['127.0.0.1'],
    });
    const tracks = { video: new MediaStreamTrack({ kind: 'video' }), audio: new MediaStreamTrack({ kind: 'audio' }) };
    const publisher = new WhipPublisher(connection, tracks, options);
    const { sender } = connection.addTransceiver(tracks.video, { direction: 'sendonly' });
    connection.addTransceiver(tracks.audio, { direction: 'sendonly' });
    sender.onRtcp.subscribe((packet) => {
      const { feedback } = packet as { feedback?: unknown };
      if (feedback instanceof PictureLossIndication) publisher.keyframeRequests++;
    });
    const offer = await gatheredOffer(connection);
    const answer = await negotiate(offer);
    await connection.setRemoteDescription({ type: 'answer', sdp: answer });
    const { wire } = options;
    if (wire) {
      // Below the sender, so that what it sends again meets the same fate.
      const { dtlsTransport } = sender;
      const sendRtp = dtlsTransport.sendRtp.bind(dtlsTransport);
      dtlsTransport.sendRtp = async (payload, header) => {
        const copy = Object.assign(Object.create(Object.getPrototypeOf(header)), header) as typeof header;
        wire(() => void sendRtp(payload, copy));
        return payload.length;
      };
    }
    connection.connectionStateChange.subscribe((state) => state === 'connected' && publisher.#run());
    if (connection.connectionState === 'connected') publisher.#run();
    return publisher;
  }

  /** Pictures sent so far. */
  get frames(): number {
    return this.#nextVideo;
  }

  /** Stops sending and says nothing, as one does whose network is gone. */
  vanish(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async close(): Promise<void> {
    this.vanish();
    await this.#connection.close();
  }

  #run(): void {
    if (this.#startedAt !== 0 || this.#stopped) return;
    this.#startedAt = performance.now();
    this.#pump();
  }

  #pump(): void {
    const { clip } = this.#options;
    const elapsedMs = performance.now() - this.#startedAt;
    for (; this.#nextVideo / clip.fps <= elapsedMs / 1000; this.#nextVideo++) {
      const frame = clip.video[this.#nextVideo % clip.video.length]!;
      const pts = (this.#options.firstTimestamp ?? 0) + Math.round((this.#nextVideo * 90_000) / clip.fps);
      this.#video.sendFrame(frame.data, pts, this.#packetizer, (sent) => this.#send('video', sent));
    }
    for (; this.#nextAudio * 20 <= elapsedMs; this.#nextAudio++) {
      const packet = clip.audio[this.#nextAudio % Math.max(1, clip.audio.length)];
      if (!packet) break;
      const pts = Math.round(((this.#options.firstTimestamp ?? 0) * 48) / 90) + this.#nextAudio * 960;
      this.#send('audio', this.#audio.packet(packet, pts));
    }
    if (!this.#stopped) this.#timer = setTimeout(() => this.#pump(), 5);
  }

  #send(kind: 'video' | 'audio', packet: Buffer): void {
    for (const one of this.#options.network?.(packet, kind) ?? [packet]) this.#tracks[kind].writeRtp(one);
  }
}
