import { plainWords, sentence } from './refusal.js';
import { StreamEvents } from './stream-events.js';
import { WhepPlayer } from './whep-player.js';

/** A stream as a viewer has it: its picture by WHEP, and over `/ws` whether there is one, why not, and its statistics. */
export class StreamViewer {
  #events;
  #player;
  #onState;
  /** What the player said last. */
  #playing = ['waiting', ''];
  #onAir = true;
  #reason = null;

  /**
   * @param token of a viewer; null where none is asked for
   * @param onState is told `(state, detail)` as WhepPlayer tells it; while the stream is not on air it is 'waiting', with
   *   the reason where there is one
   */
  constructor({ id, video, token = null, onState, onStats = () => {} }) {
    this.#onState = onState;
    this.#events = new StreamEvents(id, {
      token,
      onState: (state, reason) => this.#streamChanged(state, reason),
      onStats,
      onRefused: (error) => this.#refused(error),
    });
    this.#player = new WhepPlayer({
      video,
      endpoint: `/whep/${encodeURIComponent(id)}`,
      token,
      untilLive: (signal) => this.#events.untilLive(signal),
      onState: (...playing) => {
        this.#playing = playing;
        this.#tell();
      },
    });
  }

  start() {
    this.#events.start();
    this.#player.start();
  }

  stop() {
    this.#events.stop();
    this.#player.stop();
  }

  #refused(error) {
    this.#player.stop();
    this.#playing = ['refused', plainWords(error)];
    this.#tell();
  }

  #streamChanged(state, reason) {
    this.#onAir = state === 'live' || state === 'starting';
    this.#reason = reason;
    this.#tell();
  }

  #tell() {
    const [state, detail] = this.#playing;
    // The connection outlives the picture by some seconds, for a publisher that comes back.
    const waits = !this.#onAir && state !== 'refused' && state !== 'ended';
    this.#onState(waits ? 'waiting' : state, waits ? sentence(this.#reason) : detail);
  }
}
