import type { types } from 'mediasoup';
import type { CodedAudio, CodedVideo, VideoCodec } from '../../inference/live/coded-media.ts';
import type { SourceCounters } from '../media-source.ts';
import { JitterBuffer, type PacketSink } from '../rtp/jitter-buffer.ts';
import { createDepacketizer } from '../rtp/payload-formats.ts';
import { parseRtpPacket, type RtpPacket } from '../rtp/rtp-packet.ts';
import { Unwrapper } from '../rtp/sequence.ts';
import type { IngestRoom } from './ingest-room.ts';

/** Time for a retransmission that is lost itself to be asked for again; a gap that stays costs a keyframe. */
const VIDEO_MAX_WAIT_MS = 250;
/** Sound is not sent again for so long as pictures: a gap is heard less than a delay. */
const AUDIO_MAX_WAIT_MS = 60;

/** Reads one producer's packets in order, through a consumer on the room's direct transport. */
class TrackReader {
  readonly #producer: types.Producer;
  readonly #consumer: types.Consumer;
  readonly #jitter: JitterBuffer;
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #malformed = 0;

  constructor(producer: types.Producer, consumer: types.Consumer, sink: PacketSink, maxWaitMs: number) {
    this.#producer = producer;
    this.#consumer = consumer;
    this.#jitter = new JitterBuffer(sink, { maxWaitMs });
    consumer.on('rtp', (packet) => this.#take(packet));
  }

  get producerId(): string {
    return this.#producer.id;
  }

  get counters(): SourceCounters {
    const { received, lost } = this.#jitter.counters();
    return { bytes: this.#bytes, packets: received + this.#malformed, packetsLost: lost };
  }

  /** Packets flow from here on. A consumer that was closed meanwhile says so by its own events. */
  resume(): void {
    this.#consumer.resume().catch(() => undefined);
  }

  requestKeyframe(): void {
    if (!this.#consumer.closed) this.#consumer.requestKeyFrame().catch(() => undefined);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#consumer.close();
  }

  #take(bytes: Buffer): void {
    this.#bytes += bytes.length;
    const packet = parseRtpPacket(bytes);
    if (!packet) {
      this.#malformed++;
      return;
    }
    this.#jitter.push(packet, performance.now());
    this.#arm();
  }

  /** The buffer has no timer of its own: it is asked when something it waits for is overdue. */
  #arm(): void {
    const deadline = this.#jitter.nextDeadlineMs;
    if (deadline === null || this.#timer) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.#consumer.closed) return;
        this.#jitter.poll(performance.now());
        this.#arm();
      },
      Math.max(1, deadline - performance.now()),
    );
  }
}

export interface VideoTrackSink {
  onFrame(frame: CodedVideo, nowMs: number): void;
  onLoss(): void;
}

/** One producer of video, frame by frame. */
export class VideoTrackReader {
  readonly #reader: TrackReader;
  #sink: VideoTrackSink | null = null;

  private constructor(producer: types.Producer, consumer: types.Consumer, codec: VideoCodec) {
    const sink = {
      onVideo: (frame: CodedVideo) => this.#sink?.onFrame(frame, performance.now()),
      onLoss: () => this.#sink?.onLoss(),
    };
    const depacketizer = createDepacketizer(codec, sink);
    this.#reader = new TrackReader(producer, consumer, depacketizer, VIDEO_MAX_WAIT_MS);
  }

  static async create(room: IngestRoom, producer: types.Producer, codec: VideoCodec): Promise<VideoTrackReader> {
    return new VideoTrackReader(producer, await consumeRaw(room, producer), codec);
  }

  get producerId(): string {
    return this.#reader.producerId;
  }

  get counters(): SourceCounters {
    return this.#reader.counters;
  }

  start(sink: VideoTrackSink): void {
    this.#sink = sink;
    this.#reader.resume();
  }

  requestKeyframe(): void {
    this.#reader.requestKeyframe();
  }

  close(): void {
    this.#sink = null;
    this.#reader.close();
  }
}

export interface AudioTrackSink {
  onPacket(packet: CodedAudio, nowMs: number): void;
}

/** One producer of Opus, packet by packet. */
export class AudioTrackReader {
  readonly #reader: TrackReader;
  readonly #timestamps = new Unwrapper(32);
  #sink: AudioTrackSink | null = null;

  private constructor(producer: types.Producer, consumer: types.Consumer) {
    const sink: PacketSink = {
      onPacket: (packet) => this.#take(packet),
      // A gap in the timestamps says it all to who decodes.
      onLost: () => undefined,
      onRestart: () => this.#timestamps.restart(),
    };
    this.#reader = new TrackReader(producer, consumer, sink, AUDIO_MAX_WAIT_MS);
  }

  static async create(room: IngestRoom, producer: types.Producer): Promise<AudioTrackReader> {
    return new AudioTrackReader(producer, await consumeRaw(room, producer));
  }

  get producerId(): string {
    return this.#reader.producerId;
  }

  get counters(): SourceCounters {
    return this.#reader.counters;
  }

  start(sink: AudioTrackSink): void {
    this.#sink = sink;
    this.#reader.resume();
  }

  close(): void {
    this.#sink = null;
    this.#reader.close();
  }

  #take({ payload, timestamp }: RtpPacket): void {
    if (payload.length === 0) return;
    this.#sink?.onPacket({ data: payload, pts: this.#timestamps.unwrap(timestamp) }, performance.now());
  }
}

/** Raw media goes nowhere but here. */
function consumeRaw(room: IngestRoom, producer: types.Producer): Promise<types.Consumer> {
  const { rtpCapabilities } = room.router;
  return room.direct.consume({ producerId: producer.id, rtpCapabilities, paused: true });
}
