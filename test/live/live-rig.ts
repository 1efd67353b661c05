import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { framesOf, type LiveLeakFigures, measureLiveLeaks, type ReceivedFrame } from '../../bench/received-video.ts';
import type { VideoCodec } from '../../inference/live/coded-media.ts';
import { createLiveEngine } from '../../inference/live/create-live-engine.ts';
import { defaultModelLocations } from '../../models/locations.ts';
import type { MakeEngine } from '../../sfu/engine-keeper.ts';
import { Sfu } from '../../sfu/sfu.ts';
import type { Stream } from '../../sfu/stream.ts';
import type { StreamSettings } from '../../sfu/stream-types.ts';
import { defaultWorkerBinaryLocation, workerBinaryPath } from '../../sfu/worker-binary/locate.ts';
import { type FaceClip, makeFaceClip } from '../clips/face-clip.ts';
import { type CodeClipOptions, type CodedClip, codeClip } from './coded-clip.ts';
import { WhepViewer } from './whep-viewer.ts';
import { WhipPublisher, type WhipPublisherOptions } from './whip-publisher.ts';

export const DEFAULT_SETTINGS: StreamSettings = {
  policy: { style: 'mosaic', strength: 0.5, margin: 0.3, lookaheadFrames: 3 },
  record: false,
  hls: false,
  source: null,
  push: [],
};

const TICKS_A_FRAME = 3000;

/** A real SFU with real workers and engines, and clips of real faces to publish into it. */
export class LiveRig {
  readonly sfu: Sfu;
  readonly folder: string;
  readonly clip: FaceClip;
  /** The process ids of the engines made so far. */
  readonly engines: number[] = [];
  readonly #open: { close(): Promise<void> }[] = [];
  readonly #coded = new Map<string, CodedClip>();

  private constructor(sfu: Sfu, folder: string, clip: FaceClip, engines: number[]) {
    this.sfu = sfu;
    this.folder = folder;
    this.clip = clip;
    this.engines = engines;
  }

  static async create(options: { rawPreview?: boolean; graceMs?: number } = {}): Promise<LiveRig> {
    const folder = await mkdtemp(join(tmpdir(), 'faceblur-live-'));
    const clip = await makeFaceClip(join(folder, 'clip.mp4'));
    const engines: number[] = [];
    const models = { ...defaultModelLocations({}), allowDownload: false };
    const makeEngine: MakeEngine = async (engine, hooks) => {
      const made = await createLiveEngine({ ...engine, models }, hooks);
      engines.push(made.pid);
      return made;
    };
    const sfu = await Sfu.create({
      workerBin: workerBinaryPath(defaultWorkerBinaryLocation(process.env)),
      count: 1,
      host: '127.0.0.1',
      port: 0,
      announcedAddress: null,
      log: pino({ level: process.env.LIVE_LOG ?? 'silent' }),
      makeEngine,
      rawPreview: options.rawPreview ?? false,
      allowPrivate: true,
      graceMs: options.graceMs ?? 2000,
    });
    return new LiveRig(sfu, folder, clip, engines);
  }

  stream(id: string, settings: Partial<StreamSettings> = {}): Stream {
    return this.sfu.createStream(id, { ...DEFAULT_SETTINGS, ...settings });
  }

  /** The rig's clip as a live sender codes it. */
  async coded(codec: VideoCodec, options: Partial<CodeClipOptions> = {}): Promise<CodedClip> {
    const key = JSON.stringify({ codec, ...options });
    const known = this.#coded.get(key);
    if (known) return known;
    const coded = await codeClip(this.clip.path, this.folder, { codec, ...options });
    this.#coded.set(key, coded);
    return coded;
  }

  async publish(
    stream: Stream,
    codec: VideoCodec,
    options: Partial<WhipPublisherOptions> = {},
  ): Promise<WhipPublisher> {
    const clip = options.clip ?? (await this.coded(codec));
    const publisher = await WhipPublisher.publish({ ...options, clip }, async (offer) => {
      return (await stream.publishWhip(offer)).answer;
    });
    this.#open.push(publisher);
    return publisher;
  }

  async watch(stream: Stream, codec: VideoCodec): Promise<WhepViewer> {
    const viewer = await WhepViewer.watch(codec, async (offer) => (await stream.watchWhep(offer)).answer);
    this.#open.push(viewer);
    return viewer;
  }

  /** Compares what a viewer got with the pictures that were published, from the first timestamp on. */
  leaks(viewer: WhepViewer, codec: VideoCodec, indexOf = this.indexOf): Promise<LiveLeakFigures> {
    return this.leaksIn(framesOf(viewer.of('video'), codec), codec, indexOf);
  }

  leaksIn(
    frames: readonly ReceivedFrame[],
    codec: VideoCodec,
    indexOf: (frame: ReceivedFrame) => number | null = this.indexOf,
  ): Promise<LiveLeakFigures> {
    const { path, truth } = this.clip;
    return measureLiveLeaks({ source: path, truth, frames, codec, indexOf });
  }

  /** The picture of the clip that a received one was made from, where publishing began at timestamp 0. */
  readonly indexOf = ({ rtpTimestamp }: ReceivedFrame): number | null =>
    Math.round(rtpTimestamp / TICKS_A_FRAME) % this.clip.truth.frames.length;

  async close(): Promise<void> {
    for (const one of this.#open.reverse()) await one.close();
    await this.sfu.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits for a condition. @throws Error naming it where it does not come in time */
export async function until(what: string, isSo: () => boolean, limitMs = 10_000): Promise<number> {
  const start = performance.now();
  while (!isSo()) {
    if (performance.now() - start > limitMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - start;
}

export function forMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
