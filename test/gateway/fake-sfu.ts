import type { types } from 'mediasoup';
import type { LiveFace } from '../../inference/live/live-engine.ts';
import { SfuError } from '../../sfu/errors.ts';
import type { MediaSource } from '../../sfu/media-source.ts';
import type {
  LiveSfu,
  LiveStream,
  RtcPeer,
  RtcSession,
  RtcTransportParameters,
  StreamObserver,
  StreamSettings,
  StreamState,
  StreamStats,
} from '../../sfu/stream-types.ts';

type Face = LiveFace & { readonly thumbnail: string | null; readonly firstSeenAt: Date };

export const FAKE_STATS: StreamStats = {
  codec: { in: 'vp8', out: 'h264' },
  width: 1280,
  height: 720,
  fps: { in: 30, out: 29.9 },
  frames: { in: 900, detected: 300, bracketed: 600, covered: 1, dropped: { 'queue-full': 2 } },
  faces: 2,
  addedLatencyMs: { p50: 12, p95: 20, p99: 31 },
  lipSyncMs: 4,
  bitrateBps: { in: 2_000_000, out: 1_500_000 },
  viewers: 1,
};

export function fakeFace(track: number): Face {
  return {
    track,
    box: [10 * track, 20, 30, 40],
    score: 0.9,
    visible: false,
    identity: null,
    reason: 'policy',
    firstSeenPts: 90_000,
    thumbnail: 'data:image/jpeg;base64,AAAA',
    firstSeenAt: new Date('2026-01-02T03:04:05.678Z'),
  };
}

/** An SFU without media: every call is recorded, and what streams tell is told by the test. */
export class FakeSfu implements LiveSfu {
  readonly streams = new Map<string, FakeStream>();
  ready = true;
  /** Thrown by the next `createStream`. */
  refusal: Error | null = null;

  createStream(id: string, settings: StreamSettings): FakeStream {
    const { refusal } = this;
    this.refusal = null;
    if (refusal) throw refusal;
    const stream = new FakeStream(id, settings);
    this.streams.set(id, stream);
    return stream;
  }

  stream(id: string): FakeStream {
    const stream = this.streams.get(id);
    if (!stream) throw new Error(`no stream ${id} was made`);
    return stream;
  }

  async close(): Promise<void> {
    for (const stream of this.streams.values()) await stream.close();
  }
}

export class FakeStream implements LiveStream {
  readonly id: string;
  settings: StreamSettings;
  state: StreamState = 'idle';
  reason: string | null = null;
  startedAt: Date | null = null;
  closed = false;
  latestFaces: Face[] = [];
  latestStats: StreamStats | null = null;
  /** What its peers' routers can do. */
  capabilities: types.RtpCapabilities = { codecs: [], headerExtensions: [] };
  readonly peers: FakePeer[] = [];
  readonly observers = new Set<StreamObserver>();
  readonly sources: MediaSource[] = [];
  readonly updates: unknown[] = [];
  readonly pins: [number, boolean][] = [];

  constructor(id: string, settings: StreamSettings) {
    this.id = id;
    this.settings = settings;
  }

  goLive(): void {
    this.startedAt = new Date('2026-01-02T03:00:00.000Z');
    this.latestStats = FAKE_STATS;
    this.move('starting', 'a publisher came');
    this.move('live', null);
  }

  move(to: StreamState, reason: string | null): void {
    const from = this.state;
    this.state = to;
    this.reason = reason;
    for (const observer of [...this.observers]) observer.onState?.(from, to, reason);
  }

  tellStats(stats = FAKE_STATS): void {
    for (const observer of [...this.observers]) observer.onStats?.(stats);
  }

  tellFaces(faces: readonly LiveFace[]): void {
    for (const observer of [...this.observers]) observer.onFaces?.(faces);
  }

  stats(): StreamStats | null {
    return this.latestStats;
  }

  async publishWhip(): Promise<RtcSession> {
    throw new SfuError('bad-offer', 'the fake speaks no SDP');
  }

  async publishSource(source: MediaSource): Promise<void> {
    this.sources.push(source);
  }

  async watchWhep(): Promise<RtcSession> {
    throw new SfuError('not-live', 'nobody publishes');
  }

  createPeer(): FakePeer {
    const peer = new FakePeer(this);
    this.peers.push(peer);
    return peer;
  }

  update(changes: Partial<Pick<StreamSettings, 'policy' | 'record' | 'push'>>): void {
    this.updates.push(changes);
    this.settings = { ...this.settings, ...changes };
  }

  async faces(): Promise<readonly Face[]> {
    return this.latestFaces;
  }

  async setVisible(track: number, visible: boolean): Promise<boolean> {
    if (!this.latestFaces.some((face) => face.track === track)) return false;
    this.pins.push([track, visible]);
    return true;
  }

  addSink(): () => void {
    return () => undefined;
  }

  observe(observer: StreamObserver): () => void {
    this.observers.add(observer);
    return () => this.observers.delete(observer);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    if (this.state !== 'idle') this.move('draining', 'closing');
    for (const peer of this.peers) peer.end('the stream ended');
  }
}

/** Ids tell whose part it is: `transport-STREAM-n`. */
export class FakePeer implements RtcPeer {
  readonly capabilities: types.RtpCapabilities;
  readonly calls: unknown[][] = [];
  closed = false;
  /** Thrown by the next call. */
  refusal: Error | null = null;
  readonly #stream: FakeStream;
  readonly #index: number;
  readonly #parts = new Set<string>();
  readonly #listeners = new Set<(reason: string) => void>();
  readonly #transportListeners = new Set<(transport: string, reason: string) => void>();

  constructor(stream: FakeStream) {
    this.#stream = stream;
    this.capabilities = stream.capabilities;
    this.#index = stream.peers.length;
  }

  async createTransport(direction: 'send' | 'recv', raw = false): Promise<RtcTransportParameters> {
    this.#called('createTransport', direction, raw);
    if (direction === 'recv' && this.#stream.state !== 'live') throw new SfuError('not-live', 'nobody publishes');
    return {
      id: this.#part('transport'),
      iceParameters: { usernameFragment: 'ufrag', password: 'password', iceLite: true },
      iceCandidates: [],
      dtlsParameters: { role: 'auto', fingerprints: [] },
    };
  }

  async connect(transport: string, dtlsParameters: types.DtlsParameters): Promise<void> {
    this.#called('connect', transport, dtlsParameters);
  }

  async produce(transport: string, kind: types.MediaKind, rtpParameters: types.RtpParameters): Promise<string> {
    this.#called('produce', transport, kind, rtpParameters);
    return this.#part('producer');
  }

  async consume(kind: types.MediaKind, rtpCapabilities: types.RtpCapabilities, raw = false) {
    this.#called('consume', kind, rtpCapabilities, raw);
    return { id: this.#part('consumer'), producerId: 'redacted', kind, rtpParameters: { codecs: [] } };
  }

  async resume(consumer: string): Promise<void> {
    this.#called('resume', consumer);
  }

  async closePart(id: string): Promise<void> {
    this.#called('closePart', id);
    if (!this.#parts.delete(id)) throw new SfuError('not-found', 'there is nothing by this id');
  }

  async close(): Promise<void> {
    this.end('closed');
  }

  onClosed(listener: (reason: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onTransportClosed(listener: (transport: string, reason: string) => void): () => void {
    this.#transportListeners.add(listener);
    return () => this.#transportListeners.delete(listener);
  }

  endTransport(transport: string, reason: string): void {
    for (const listener of this.#transportListeners) listener(transport, reason);
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    for (const listener of this.#listeners) listener(reason);
  }

  #called(...call: unknown[]): void {
    if (this.closed) throw new SfuError('closed', 'the peer is closed');
    this.calls.push(call);
    const { refusal } = this;
    this.refusal = null;
    if (refusal) throw refusal;
  }

  #part(kind: string): string {
    const id = `${kind}-${this.#stream.id}-${this.#index}-${this.#parts.size}`;
    this.#parts.add(id);
    return id;
  }
}
