import type { types } from 'mediasoup';
import type { LiveFace, LivePolicy } from '../inference/live/live-engine.ts';
import type { MediaSource } from './media-source.ts';
import type { RedactedSink } from './view/redacted-sinks.ts';

export type StreamState = 'idle' | 'starting' | 'live' | 'draining';

/** What may be changed while a stream runs. */
export interface StreamSettings {
  readonly policy: LivePolicy;
  readonly record: boolean;
  readonly hls: boolean;
  /** Pulled from here where set: rtsp:// or rtmp://. */
  readonly source: string | null;
  /** RTMP targets that the redacted stream is pushed to. */
  readonly push: readonly string[];
}

/** The contract's `stats` of a stream. */
export interface StreamStats {
  readonly codec: { readonly in: string; readonly out: string };
  readonly width: number;
  readonly height: number;
  readonly fps: { readonly in: number; readonly out: number };
  readonly frames: {
    readonly in: number;
    readonly detected: number;
    readonly bracketed: number;
    readonly covered: number;
    readonly dropped: Readonly<Record<string, number>>;
  };
  readonly faces: number;
  readonly addedLatencyMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly lipSyncMs: number;
  readonly bitrateBps: { readonly in: number; readonly out: number };
  readonly viewers: number;
}

/** What a stream tells whoever observes it. */
export interface StreamObserver {
  onState?(from: StreamState, to: StreamState, reason: string | null): void;
  /** Once a second while live. */
  onStats?(stats: StreamStats): void;
  /** At most ten times a second. */
  onFaces?(faces: readonly LiveFace[]): void;
}

/** One WebRTC peer made by an SDP offer: a WHIP publisher or a WHEP viewer. */
export interface RtcSession {
  readonly id: string;
  /** The SDP answer to the offer that made it. */
  readonly answer: string;
  readonly closed: boolean;
  /**
   * @param fragment the client's SDP fragment (RFC 8840) with its new ICE credentials
   * @returns our fragment with ours
   * @throws SfuError 'closed' | 'bad-fragment'
   */
  restartIce(fragment: string): Promise<string>;
  /** Checks a trickled fragment; an ICE-lite server has no use for its candidates. @throws SfuError 'bad-fragment' */
  trickle(fragment: string): void;
  close(): Promise<void>;
  /** @returns its unsubscribe */
  onClosed(listener: () => void): () => void;
}

/** What a mediasoup-client needs to make its side of a transport. */
export interface RtcTransportParameters {
  readonly id: string;
  readonly iceParameters: types.IceParameters;
  readonly iceCandidates: readonly types.IceCandidate[];
  readonly dtlsParameters: types.DtlsParameters;
}

/** One mediasoup-client on one stream. What it made ends with it. Ids are looked up among its own only. */
export interface RtcPeer {
  readonly capabilities: types.RtpCapabilities;
  /**
   * @param direction 'send' publishes (the caller has checked the stream's key by `produce`), 'recv' watches
   * @param raw watches what comes in, before it is blurred; only for RAW_PREVIEW
   * @throws SfuError 'not-live' for 'recv' on a stream that is not, 'too-many', 'closed'
   */
  createTransport(direction: 'send' | 'recv', raw?: boolean): Promise<RtcTransportParameters>;
  connect(transport: string, dtlsParameters: types.DtlsParameters): Promise<void>;
  /** The first track of a peer takes the stream over from whoever published before. @returns the producer's id */
  produce(transport: string, kind: types.MediaKind, rtpParameters: types.RtpParameters): Promise<string>;
  /** Redacted media, or with `raw` (RAW_PREVIEW) what comes in; starts paused. */
  consume(
    kind: types.MediaKind,
    rtpCapabilities: types.RtpCapabilities,
    raw?: boolean,
  ): Promise<{ id: string; producerId: string; kind: types.MediaKind; rtpParameters: types.RtpParameters }>;
  resume(consumer: string): Promise<void>;
  /** Closes one of its transports, producers or consumers. @throws SfuError 'not-found' */
  closePart(id: string): Promise<void>;
  close(): Promise<void>;
  /** It ended: the stream or its worker did. @returns its unsubscribe */
  onClosed(listener: (reason: string) => void): () => void;
  /** One of its transports ended, by no doing of its own, and the peer goes on. @returns its unsubscribe */
  onTransportClosed(listener: (transport: string, reason: string) => void): () => void;
}

/** One stream, live or not, as the gateway sees it. */
export interface LiveStream {
  readonly id: string;
  readonly state: StreamState;
  /** Why it is in that state, where there is something to say, e.g. 'the publisher left'. */
  readonly reason: string | null;
  /** When the current publish began. */
  readonly startedAt: Date | null;
  readonly settings: StreamSettings;
  stats(): StreamStats | null;
  /** A WHIP publisher whose key was checked; takes over from whoever publishes. @throws SfuError 'bad-offer' | 'no-compatible-codec' | 'closed' */
  publishWhip(offer: string): Promise<RtcSession>;
  /** A source that is not WebRTC, whose key was checked; likewise. It is closed with the publish. */
  publishSource(source: MediaSource): Promise<void>;
  /** A WHEP viewer. @throws SfuError 'not-live' | 'bad-offer' | 'no-compatible-codec' | 'too-many' | 'closed' */
  watchWhep(offer: string): Promise<RtcSession>;
  /** A mediasoup-client peer. */
  createPeer(): RtcPeer;
  /** From the next frame on; viewers are not interrupted. */
  update(changes: Partial<Pick<StreamSettings, 'policy' | 'record' | 'push'>>): void;
  /** Empty when it is not live. */
  faces(): Promise<readonly (LiveFace & { readonly thumbnail: string | null; readonly firstSeenAt: Date })[]>;
  /** @returns false where no such face is on screen */
  setVisible(track: number, visible: boolean): Promise<boolean>;
  /** @returns its unsubscribe */
  observe(observer: StreamObserver): () => void;
  /** Has what leaves handed to a recorder as well, of this publish and those to come. @returns its removal */
  addSink(sink: RedactedSink): () => void;
  /** Ends publisher and viewers. */
  close(): Promise<void>;
}

/** The SFU: workers, and the streams on them. */
export interface LiveSfu {
  /** Makes a stream; idle until someone publishes, and without cost until then. */
  createStream(id: string, settings: StreamSettings): LiveStream;
  /** Whether a worker is there to serve. */
  readonly ready: boolean;
  /** Closes all streams, then the workers. */
  close(): Promise<void>;
}
