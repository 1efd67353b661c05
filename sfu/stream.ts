import type { Logger } from 'pino';
import type { VideoCodec } from '../inference/live/coded-media.ts';
import type { LiveFace } from '../inference/live/live-engine.ts';
import { BitrateControl } from './bitrate.ts';
import type { MakeEngine } from './engine-keeper.ts';
import { SfuError } from './errors.ts';
import type { MediaSource, SourceEnd } from './media-source.ts';
import { Publish } from './publish.ts';
import { PushTargets } from './push/push-targets.ts';
import { StatsReader } from './stream-stats.ts';
import type {
  LiveStream,
  RtcPeer,
  RtcSession,
  StreamObserver,
  StreamSettings,
  StreamState,
  StreamStats,
} from './stream-types.ts';
import { Audience } from './view/audience.ts';
import { RedactedOutput } from './view/redacted-output.ts';
import { type RedactedSink, RedactedSinks } from './view/redacted-sinks.ts';
import { Peer } from './webrtc/peer.ts';
import { openWhepSession } from './webrtc/whep.ts';
import { openWhipSession } from './webrtc/whip.ts';
import type { MediaWorker, Workers } from './workers.ts';

export interface StreamOptions {
  readonly id: string;
  readonly settings: StreamSettings;
  readonly workers: Workers;
  readonly makeEngine: MakeEngine;
  /** Whether peers may watch what comes in. */
  readonly rawPreview: boolean;
  /** Whether addresses of this machine and its networks may be pushed to. */
  readonly allowPrivate: boolean;
  /** A returning publisher finds its viewers still there within this time. */
  readonly graceMs: number;
  readonly log: Logger;
  readonly onClose: () => void;
}

/** From each state, where it may go. */
const MOVES: Readonly<Record<StreamState, readonly StreamState[]>> = {
  idle: ['starting'],
  starting: ['starting', 'live', 'draining', 'idle'],
  live: ['starting', 'draining', 'idle'],
  draining: ['starting', 'idle'],
};

const TICK_MS = 1000;
const INITIAL_BITRATE_BPS = 1_500_000;
/** RTMP targets and recordings are joined in the middle; WebRTC viewers ask. */
const PUSH_KEYFRAME_INTERVAL_MS = 2000;

/** What a stream holds while someone publishes, and for the grace after. */
interface OnAir {
  readonly output: RedactedOutput;
  readonly audience: Audience;
  readonly bitrate: BitrateControl;
  readonly unwatch: () => void;
}

/** One stream: settings that last, a publish that comes and goes, and those who watch. */
export class Stream implements LiveStream {
  readonly id: string;
  readonly #options: StreamOptions;
  readonly #log: Logger;
  readonly #observers = new Set<StreamObserver>();
  readonly #peers = new Set<Peer>();
  readonly #sinks = new RedactedSinks();
  #settings: StreamSettings;
  #state: StreamState = 'idle';
  #reason: string | null = null;
  /** Why nobody is recognised, as said last. */
  #recognitionProblem: string | null = null;
  #air: OnAir | null = null;
  #publish: Publish | null = null;
  #pushes: PushTargets | null = null;
  #stats: StatsReader | null = null;
  #tick: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;
  /** One publish begins at a time; the latest wins. */
  #turn: Promise<void> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(options: StreamOptions) {
    this.id = options.id;
    this.#options = options;
    this.#settings = options.settings;
    this.#log = options.log.child({ streamId: options.id });
  }

  get state(): StreamState {
    return this.#state;
  }

  get reason(): string | null {
    return this.#reason;
  }

  get startedAt(): Date | null {
    return this.#publish?.startedAt ?? null;
  }

  get settings(): StreamSettings {
    return this.#settings;
  }

  /** What leaves, for taps; null while nobody publishes. */
  get output(): RedactedOutput | null {
    return this.#air?.output ?? null;
  }

  stats(): StreamStats | null {
    return this.#stats?.latest ?? null;
  }

  async publishWhip(offer: string): Promise<RtcSession> {
    this.#mustBeOpen();
    const { session, source } = await openWhipSession(offer, this.#options.workers);
    try {
      await this.publishSource(source);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  publishSource(source: MediaSource): Promise<void> {
    const turn = this.#turn.then(() => this.#begin(source));
    // A publish that fails to begin must not keep the next from beginning.
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async watchWhep(offer: string): Promise<RtcSession> {
    this.#mustBeOpen();
    const air = this.#watchable();
    return openWhepSession(offer, air.output.codec, air.audience);
  }

  createPeer(): RtcPeer {
    this.#mustBeOpen();
    const peer = new Peer({
      workers: this.#options.workers,
      audience: () => this.#watchable().audience,
      publish: (source) => this.publishSource(source),
      rawSource: () => (this.#options.rawPreview ? (this.#publish?.source ?? null) : null),
      onClose: () => this.#peers.delete(peer),
    });
    this.#peers.add(peer);
    return peer;
  }

  update(changes: Partial<Pick<StreamSettings, 'policy' | 'record' | 'push'>>): void {
    this.#settings = { ...this.#settings, ...changes };
    if (changes.policy) this.#publish?.setPolicy(changes.policy);
    if (changes.push) this.#pushes?.set(changes.push);
    const turn = this.#turn.then(() => this.#followCodec());
    this.#turn = turn.catch((error) => this.#log.error({ err: error }, 'stream could not change its codec'));
  }

  async faces(): Promise<readonly (LiveFace & { thumbnail: string | null; firstSeenAt: Date })[]> {
    const publish = this.#publish;
    const faces = (await publish?.engine?.faces()) ?? [];
    return faces.map((face) => ({ ...face, firstSeenAt: publish!.timeOf(face.firstSeenPts) }));
  }

  async setVisible(track: number, visible: boolean): Promise<boolean> {
    return (await this.#publish?.engine?.setVisible(track, visible)) ?? false;
  }

  observe(observer: StreamObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  addSink(sink: RedactedSink): () => void {
    return this.#sinks.add(sink);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#turn;
    await this.#leaveAir('the stream was deleted');
    await Promise.all([...this.#peers].map((peer) => peer.close()));
    this.#observers.clear();
    this.#options.onClose();
  }

  async #begin(source: MediaSource): Promise<void> {
    if (this.#closing) {
      await source.close();
      throw new SfuError('closed', 'the stream has ended');
    }
    if (source.video === null) {
      await source.close();
      throw new SfuError('no-compatible-codec', 'a stream needs a picture: H.264 or VP8');
    }
    clearTimeout(this.#grace);
    const before = this.#publish;
    if (before) this.#log.info('publisher taken over');
    await this.#endPublish();
    const codec = this.#outputCodec(source.video);
    if (this.#air && (this.#air.output.codec !== codec || this.#air.output.worker.died)) this.#endAudience();
    try {
      this.#air ??= this.#goOnAir(codec);
    } catch (error) {
      await source.close();
      this.#move('idle', (error as Error).message);
      throw error;
    }
    const { output, bitrate } = this.#air;
    const { makeEngine } = this.#options;
    const publish = new Publish(
      {
        streamId: this.id,
        source,
        output,
        policy: this.#settings.policy,
        bitrateBps: bitrate.currentBps,
        keyframeIntervalMs: this.#keyframeIntervalMs,
        makeEngine,
        log: this.#options.log,
      },
      {
        onLive: () => this.#move('live', null),
        onFaces: (faces) => this.#tell((observer) => observer.onFaces?.(faces)),
        onEngineStats: ({ width, height, recognition }) => {
          if (width > 0) bitrate.setSize(width, height);
          this.#onRecognition(recognition.problem);
        },
        onEnd: (end, message) => this.#onPublishEnd(publish, end, message),
      },
    );
    this.#publish = publish;
    this.#sendFrom(publish, output);
    this.#move('starting', null);
    this.#log.info({ kind: source.kind, video: source.video, audio: source.audio?.codec ?? null }, 'publish started');
    publish.start();
  }

  #goOnAir(codec: VideoCodec): OnAir {
    const worker: MediaWorker = this.#options.workers.pick();
    const output = new RedactedOutput(worker, codec, () => this.#publish?.requestKeyframe());
    this.#tick ??= setInterval(() => void this.#onTick(), TICK_MS);
    return {
      output,
      audience: new Audience(output),
      bitrate: new BitrateControl(INITIAL_BITRATE_BPS),
      unwatch: worker.onDied(() => void this.#leaveAir('the media server failed')),
    };
  }

  #onPublishEnd(publish: Publish, end: SourceEnd, message: string): void {
    if (this.#publish !== publish) return;
    this.#log.info({ end, message }, 'publish ended');
    void this.#endPublish();
    this.#move('draining', message);
    this.#grace = setTimeout(() => void this.#leaveAir(message), this.#options.graceMs);
  }

  async #leaveAir(reason: string): Promise<void> {
    clearTimeout(this.#grace);
    clearInterval(this.#tick);
    this.#tick = undefined;
    const ended = this.#endPublish();
    this.#endAudience();
    this.#move('idle', reason);
    await ended;
  }

  async #endPublish(): Promise<void> {
    const publish = this.#publish;
    const pushes = this.#pushes;
    this.#publish = null;
    this.#pushes = null;
    this.#stats = null;
    this.#sinks.end();
    await Promise.all([publish?.close(), pushes?.close()]);
  }

  /** What comes of a publish goes to this output, and from there to the targets that it is pushed to. */
  #sendFrom(publish: Publish, output: RedactedOutput): void {
    this.#stats = new StatsReader(publish, output, () => this.#air?.audience.size ?? 0);
    this.#pushes = new PushTargets({
      output,
      source: publish.source,
      allowPrivate: this.#options.allowPrivate,
      requestKeyframe: () => publish.requestKeyframe(),
      log: this.#log,
    });
    this.#pushes.set(this.#settings.push);
    this.#sinks.begin({ output, source: publish.source, requestKeyframe: () => publish.requestKeyframe() });
  }

  /** Where what takes the stream now needs another codec than it is sent in: viewers end, and may come again. */
  async #followCodec(): Promise<void> {
    const publish = this.#publish;
    if (!publish || !this.#air) return;
    const codec = this.#outputCodec(publish.source.video!);
    if (codec === this.#air.output.codec) return;
    this.#endAudience();
    this.#sinks.end();
    const pushes = this.#pushes;
    this.#pushes = null;
    await pushes?.close();
    this.#air = this.#goOnAir(codec);
    await publish.moveTo(this.#air.output, this.#keyframeIntervalMs);
    this.#sendFrom(publish, this.#air.output);
  }

  #endAudience(): void {
    this.#air?.unwatch();
    this.#air?.output.close();
    this.#air = null;
  }

  async #onTick(): Promise<void> {
    const air = this.#air;
    const publish = this.#publish;
    if (!air || !publish) return;
    publish.sendReports();
    if (!publish.live) return;
    const next = air.bitrate.step(await air.audience.reports());
    if (this.#publish !== publish) return;
    if (next !== null) publish.setBitrate(next);
    const stats = this.#stats?.read();
    if (!stats) return;
    if (Object.keys(stats.dropped).length > 0) this.#log.warn({ dropped: stats.dropped }, 'frames dropped');
    this.#tell((observer) => observer.onStats?.(stats.stats));
  }

  /** Told every second, said once. */
  #onRecognition(problem: string | null): void {
    if (problem === this.#recognitionProblem) return;
    this.#recognitionProblem = problem;
    if (problem) this.#log.warn({ problem }, 'people are not recognised');
  }

  #watchable(): OnAir {
    if (this.#state !== 'live' || !this.#air) throw new SfuError('not-live', 'nobody publishes this stream now');
    return this.#air;
  }

  #mustBeOpen(): void {
    if (this.#closing) throw new SfuError('closed', 'the stream has ended');
  }

  #outputCodec(input: VideoCodec): VideoCodec {
    return this.#joinedInTheMiddle() ? 'h264' : input;
  }

  get #keyframeIntervalMs(): number | null {
    return this.#joinedInTheMiddle() ? PUSH_KEYFRAME_INTERVAL_MS : null;
  }

  /** Whether something takes the stream that needs H.264 and keyframes without asking. */
  #joinedInTheMiddle(): boolean {
    const { record, hls, push } = this.#settings;
    return record || hls || push.length > 0;
  }

  #move(to: StreamState, reason: string | null): void {
    const from = this.#state;
    if (from === to && to !== 'starting') return;
    if (!MOVES[from].includes(to)) throw new SfuError('closed', `a stream that is ${from} can't become ${to}`);
    this.#state = to;
    this.#reason = reason;
    if (from === to) return;
    this.#log.info({ from, to, reason }, 'stream state');
    this.#tell((observer) => observer.onState?.(from, to, reason));
  }

  #tell(event: (observer: StreamObserver) => void): void {
    for (const observer of this.#observers) event(observer);
  }
}
