import { AV_LOG_QUIET, AVERROR_EOF, Dictionary, FFmpegError, FormatContext, InputFormat, Log, Packet } from 'node-av';
import type { PullMessage, PullOrder } from './pull-messages.ts';
import { PulledTracks } from './pulled-tracks.ts';

/** A source has one picture and one sound; a few more are looked over. */
const MAX_STREAMS = 8;

// The entry point of a process that pulls one source: one order comes in, media and one end go out.
process.once('message', (order: PullOrder) => {
  // Its messages show URLs.
  Log.setLevel(AV_LOG_QUIET);
  process.once('disconnect', () => process.exit(1));
  // What the terminal sends to the whole group is the parent's to answer.
  process.on('SIGINT', () => undefined);
  pull(order)
    .catch((error: unknown) => `reading failed: ${(error as Error).message}`)
    .then((message) => tell({ type: 'ended', message }));
});

/** @returns why it ended */
async function pull({ url, format: name, options }: PullOrder): Promise<string> {
  const format = new FormatContext();
  format.allocContext();
  format.maxStreams = MAX_STREAMS;
  using dictionary = Dictionary.fromObject({ ...options });
  const opened = await format.openInput(url, InputFormat.findInputFormat(name), dictionary);
  if (opened < 0) return `it can not be opened (${FFmpegError.strerror(opened)})`;
  const probed = await format.findStreamInfo();
  if (probed < 0) return `it holds nothing that can be read (${FFmpegError.strerror(probed)})`;
  const tracks = new PulledTracks(format.streams);
  const { video, audio, leftOut } = tracks;
  if (!video && !audio)
    return `it has no H.264, VP8, Opus or AAC${leftOut.length > 0 ? `, but ${leftOut.join()}` : ''}`;
  await tell({ type: 'opened', video, audio, leftOut });
  const packet = new Packet();
  packet.alloc();
  for (;;) {
    const read = await format.readFrame(packet);
    if (read < 0) return read === AVERROR_EOF ? 'it ended' : `reading failed (${FFmpegError.strerror(read)})`;
    const message = tracks.read(packet);
    packet.unref();
    // A parent that is busy slows the reading down, and with it the server.
    if (message) await tell(message);
  }
}

/** Resolves when it was handed to the channel. */
function tell(message: PullMessage): Promise<void> {
  return new Promise((fulfil) => {
    // A channel that is closed means the parent is gone, which 'disconnect' deals with.
    if (process.connected) process.send?.(message, undefined, {}, () => fulfil());
  });
}
