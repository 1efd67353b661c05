import { Backoff, pause } from './backoff.js';
import { RtcSession } from './rtc-session.js';

const LOOK_MS = 1000;
/** No new picture for so many looks: the viewer is told ... */
const LOOKS_UNTIL_STALLED = 3;
/** ... and then another session is tried. */
const LOOKS_UNTIL_LOST = 15;

/** Shows a stream in a `<video>` by WHEP, and keeps doing so while there is such a stream. */
export class WhepPlayer {
  #video;
  #endpoint;
  #token;
  #untilLive;
  #onState;
  #session = null;
  #stopped = new AbortController();

  /**
   * @param token of a viewer; null where none is asked for
   * @param untilLive resolves when it makes sense to ask for the stream; where left out, the server's 409 tells
   * @param onState is told `(state, detail)`: 'waiting', 'connecting', 'live', 'reconnecting', 'refused', 'ended'
   */
  constructor({ video, endpoint, token = null, untilLive = async () => {}, onState }) {
    this.#video = video;
    this.#endpoint = endpoint;
    this.#token = token;
    this.#untilLive = untilLive;
    this.#onState = onState;
  }

  /** Settles when it is over. */
  async start() {
    const backoff = new Backoff();
    const { signal } = this.#stopped;
    this.#tell('waiting', '');
    while (!signal.aborted) {
      await this.#untilLive(signal);
      if (signal.aborted) return;
      this.#tell('connecting', '');
      let waitMs = null;
      try {
        await this.#watch(backoff);
        this.#tell('reconnecting', 'The connection was lost.');
      } catch (error) {
        if (signal.aborted) return;
        this.#video.srcObject = null;
        if (!error.passes) return this.#tell('refused', error.message);
        waitMs = error.retryAfterMs;
        if (error.status === 409) {
          this.#tell('waiting', '');
          backoff.reset();
        } else {
          this.#tell('reconnecting', error.message);
        }
      }
      await pause(backoff.next(waitMs), signal);
    }
  }

  stop() {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#session?.close();
    this.#video.srcObject = null;
    this.#onState('ended', '');
  }

  async #watch(backoff) {
    const session = new RtcSession((change) => {
      if (change === 'interrupted') this.#tell('reconnecting', 'The connection is interrupted.');
    });
    this.#session = session;
    const media = new MediaStream();
    for (const kind of ['video', 'audio']) {
      const { receiver } = session.peer.addTransceiver(kind, { direction: 'recvonly' });
      media.addTrack(receiver.track);
    }
    const progress = { frames: 0, looksWithout: 0 };
    const looking = setInterval(() => this.#look(session, progress, backoff), LOOK_MS);
    try {
      await session.open(this.#endpoint, this.#token);
      this.#video.srcObject = media;
      // Refused only where sound may not start by itself; the page starts muted, or has a button.
      this.#video.play().catch(() => {});
      this.#video.requestVideoFrameCallback?.(() => this.#session === session && this.#tell('live', ''));
      await session.ended;
    } finally {
      clearInterval(looking);
      session.close();
      this.#session = null;
    }
  }

  async #look(session, progress, backoff) {
    const frames = await framesDecoded(session.peer);
    if (this.#session !== session) return;
    if (frames > progress.frames) {
      progress.looksWithout = 0;
      backoff.reset();
      this.#tell('live', '');
    } else {
      progress.looksWithout += 1;
      if (progress.frames > 0 && progress.looksWithout === LOOKS_UNTIL_STALLED) {
        this.#tell('reconnecting', 'No new picture arrives.');
      }
      if (progress.looksWithout === LOOKS_UNTIL_LOST) session.close();
    }
    progress.frames = frames;
  }

  #tell(state, detail) {
    if (!this.#stopped.signal.aborted) this.#onState(state, detail);
  }
}

async function framesDecoded(peer) {
  // A peer that was closed meanwhile has no report in some browsers.
  const reports = await peer.getStats().catch(() => new Map());
  for (const report of reports.values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'video') return report.framesDecoded ?? 0;
  }
  return 0;
}
