import { Backoff, pause } from './backoff.js';
import { RtcSession } from './rtc-session.js';

const LONG_SIDE = 1280;
const SHORT_SIDE = 720;
const MAX_FPS = 30;
const VIDEO_BPS = 2_500_000;
const START_BPS = 1_500_000;

/** Sends a MediaStream to a stream by WHIP (RFC 9725), and keeps doing so until it is stopped or not wanted. */
export class WhipPublisher {
  #endpoint;
  #key;
  #media;
  #replaced;
  #onState;
  #session = null;
  #stopped = new AbortController();

  /**
   * @param replaced resolves to whether somebody else publishes now, when the server has dismissed us
   * @param onState is told `(state, detail)`: 'connecting', 'live', 'reconnecting', 'refused', 'ended'; detail for people
   */
  constructor({ endpoint, key, media, replaced, onState }) {
    this.#endpoint = endpoint;
    this.#key = key;
    this.#media = media;
    this.#replaced = replaced;
    this.#onState = onState;
  }

  /** Settles when it is over. */
  async start() {
    const backoff = new Backoff();
    const { signal } = this.#stopped;
    this.#tell('connecting', '');
    while (!signal.aborted) {
      let waitMs = null;
      try {
        const end = await this.#publish(backoff);
        if (signal.aborted) return;
        if (end === 'dismissed' && (await this.#replaced())) {
          return this.#tell('ended', 'Another program is sending to this stream now.');
        }
        this.#tell('reconnecting', 'The connection was lost.');
      } catch (error) {
        if (signal.aborted) return;
        if (!error.passes) return this.#tell('refused', error.message);
        waitMs = error.retryAfterMs;
        this.#tell('reconnecting', error.message);
      }
      await pause(backoff.next(waitMs), signal);
    }
  }

  /** Ends the publish; the media stay their owner's. */
  stop() {
    if (this.#stopped.signal.aborted) return;
    this.#stopped.abort();
    this.#session?.close();
    this.#onState('ended', '');
  }

  async #publish(backoff) {
    const follow = (change) => {
      if (change === 'interrupted') return this.#tell('reconnecting', 'The connection is interrupted.');
      backoff.reset();
      this.#tell('live', '');
    };
    const session = new RtcSession(follow, { startBps: START_BPS });
    this.#session = session;
    try {
      for (const track of this.#media.getTracks()) this.#send(session.peer, track);
      await session.open(this.#endpoint, this.#key);
      return await session.ended;
    } finally {
      session.close();
    }
  }

  #send(peer, track) {
    const encoding = track.kind === 'video' ? videoEncoding(track.getSettings()) : {};
    const options = { direction: 'sendonly', streams: [this.#media], sendEncodings: [encoding] };
    const { sender } = peer.addTransceiver(track, options);
    if (track.kind !== 'video') return;
    // Movement that stutters is worse to look at than detail that goes. Not every browser has the setting.
    sender.setParameters({ ...sender.getParameters(), degradationPreference: 'maintain-framerate' }).catch(() => {});
  }

  #tell(state, detail) {
    if (!this.#stopped.signal.aborted) this.#onState(state, detail);
  }
}

/** What is sent of a picture: at most 1280 by 720, either way up. */
function videoEncoding({ width = 0, height = 0 }) {
  const scale = Math.max(Math.max(width, height) / LONG_SIDE, Math.min(width, height) / SHORT_SIDE, 1);
  return { maxBitrate: VIDEO_BPS, maxFramerate: MAX_FPS, scaleResolutionDownBy: scale };
}
