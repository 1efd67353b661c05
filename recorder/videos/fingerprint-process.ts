import {
  AV_LOG_FATAL,
  AV_PIX_FMT_GRAY8,
  AVSEEK_FLAG_BACKWARD,
  Decoder,
  Demuxer,
  FFmpegError,
  Frame,
  Log,
  SoftwareScaleContext,
  SWS_AREA,
} from 'node-av';
import { FORMATS } from '../../inference/media/input-file.ts';

/** What the process of a fingerprint is asked for. */
export interface FingerprintRequest {
  /** Absolute. */
  readonly path: string;
  /** When the pictures are shown, in seconds. */
  readonly times: readonly number[];
  /** What each is made to. */
  readonly width: number;
  readonly height: number;
}

/** The luma of each picture, row by row; null where one can't be had. */
export type FingerprintMessage = readonly Uint8Array[] | null;

// The entry point of a process of its own: a path and times come in, small pictures go out.
process.once('message', (request: FingerprintRequest) => {
  Log.setLevel(AV_LOG_FATAL);
  void look(request)
    .catch(() => null)
    .then((pictures: FingerprintMessage) => process.send?.(pictures));
});
process.once('disconnect', () => process.exit(1));

async function look({ path, times, width, height }: FingerprintRequest): Promise<FingerprintMessage> {
  const pictures: Uint8Array[] = [];
  for (const seconds of times) {
    const picture = await pictureAt(path, seconds, width, height);
    if (!picture) return null;
    pictures.push(picture);
  }
  return pictures;
}

/** The first picture from a time on. */
async function pictureAt(path: string, seconds: number, width: number, height: number): Promise<Uint8Array | null> {
  const options = { protocol_whitelist: 'file', format_whitelist: FORMATS };
  await using demuxer = await Demuxer.open(path, { options });
  const stream = demuxer.video();
  if (!stream) return null;
  const { num, den } = stream.timeBase;
  const start = stream.startTime > 0n ? (Number(stream.startTime) * num) / den : 0;
  FFmpegError.throwIfError(await demuxer.seek(start + seconds, -1, AVSEEK_FLAG_BACKWARD), 'seek');
  using decoder = await Decoder.create(stream, { exitOnError: false });
  for await (const frame of decoder.frames(demuxer.packets(stream.index))) {
    if (!frame) continue;
    using picture = frame;
    if ((Number(picture.pts) * num) / den - start >= seconds) return shrunk(picture, width, height);
  }
  return null;
}

function shrunk(picture: Frame, width: number, height: number): Uint8Array {
  using small = new Frame();
  small.alloc();
  Object.assign(small, { width, height, format: AV_PIX_FMT_GRAY8 });
  FFmpegError.throwIfError(small.getBuffer(), 'allocate a picture');
  const scaler = new SoftwareScaleContext();
  type Format = Parameters<SoftwareScaleContext['getContext']>[2];
  scaler.getContext(picture.width, picture.height, picture.format as Format, width, height, AV_PIX_FMT_GRAY8, SWS_AREA);
  FFmpegError.throwIfError(scaler.scaleFrameSync(small, picture), 'shrink a picture');
  scaler.freeContext();
  return Uint8Array.from(small.toBuffer().subarray(0, width * height));
}
