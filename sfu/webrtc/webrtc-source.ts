import type { types } from 'mediasoup';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import type { MediaSink, MediaSource, SourceCounters, SourceEnd } from '../media-source.ts';
import { ArrivalClock } from './arrival-clock.ts';
import type { IngestRoom } from './ingest-room.ts';
import { AudioTrackReader, VideoTrackReader } from './track-reader.ts';

/** A browser's, WHIP client's or mediasoup-client's media: its producers, read through a direct transport. */
export class WebRtcSource implements MediaSource {
  readonly kind = 'webrtc';
  readonly video: VideoCodec;
  readonly audio = { codec: 'opus' } as const;
  readonly canRequestKeyframe: boolean;
  readonly room: IngestRoom;
  readonly #clocks = { video: new ArrivalClock(90), audio: new ArrivalClock(48) };
  readonly #video: VideoTrackReader;
  #audio: AudioTrackReader | null = null;
  #sink: MediaSink | null = null;
  #ended = false;

  private constructor(room: IngestRoom, producer: types.Producer, codec: VideoCodec, video: VideoTrackReader) {
    this.room = room;
    this.video = codec;
    // FFmpeg's WHIP muxer, for one, knows neither PLI nor FIR.
    this.canRequestKeyframe = (producer.rtpParameters.codecs[0]?.rtcpFeedback ?? []).some(
      ({ type, parameter }) => (type === 'nack' && parameter === 'pli') || (type === 'ccm' && parameter === 'fir'),
    );
    this.#video = video;
    room.router.on('workerclose', () => this.end('failed', 'the media server failed'));
  }

  /** Takes the room over. @param producer of video, on the room's router */
  static async create(room: IngestRoom, producer: types.Producer, codec: VideoCodec): Promise<WebRtcSource> {
    return new WebRtcSource(room, producer, codec, await VideoTrackReader.create(room, producer, codec));
  }

  /** Sound may come later than the picture. A second one replaces the first. */
  async addAudio(producer: types.Producer): Promise<void> {
    const reader = await AudioTrackReader.create(this.room, producer);
    this.#audio?.close();
    this.#audio = reader;
    if (this.#sink) this.#startAudio(this.#sink);
  }

  /** Of what comes in raw, for the preview alone. */
  producerId(kind: 'video' | 'audio'): string | null {
    return (kind === 'video' ? this.#video : this.#audio)?.producerId ?? null;
  }

  start(sink: MediaSink): void {
    this.#sink = sink;
    this.#video.start({
      onFrame: (frame, nowMs) => {
        this.#clocks.video.note(frame.pts, nowMs);
        sink.onVideo(frame);
      },
      onLoss: () => sink.onLoss(),
    });
    this.#startAudio(sink);
  }

  requestKeyframe(): void {
    this.#video.requestKeyframe();
  }

  timelineMs(kind: 'video' | 'audio', pts: number): number {
    return this.#clocks[kind].timelineMs(pts);
  }

  counters(): SourceCounters {
    const video = this.#video.counters;
    const audio = this.#audio?.counters ?? { bytes: 0, packets: 0, packetsLost: 0 };
    return {
      bytes: video.bytes + audio.bytes,
      packets: video.packets + audio.packets,
      packetsLost: video.packetsLost + audio.packetsLost,
    };
  }

  async close(): Promise<void> {
    this.end('requested', 'ended');
  }

  end(end: SourceEnd, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#video.close();
    this.#audio?.close();
    this.room.close();
    this.#sink?.onEnd(end, message);
  }

  #startAudio(sink: MediaSink): void {
    this.#audio?.start({
      onPacket: (packet, nowMs) => {
        this.#clocks.audio.note(packet.pts, nowMs);
        sink.onAudio(packet);
      },
    });
  }
}
