import { Backoff, pause } from './backoff.js';

/** So long the first word of the server is waited for. */
const UNHEARD_MS = 1500;

/** Hears of a stream's state and statistics over `/ws`, connecting again whenever it must. */
export class StreamEvents {
  #id;
  #token;
  #listeners;
  #socket = null;
  #stopped = new AbortController();
  #state = null;
  #waiting = new Set();

  /**
   * @param token of a viewer; null where none is asked for
   * @param listeners `onState(state, reason)`, `onStats(stats)`, and `onRefused(error)` where there is no such stream
   *   or it is not for us: the last that is heard
   */
  constructor(id, { token = null, onState = () => {}, onStats = () => {}, onRefused = () => {} }) {
    this.#id = id;
    this.#token = token;
    this.#listeners = { onState, onStats, onRefused };
  }

  async start() {
    const backoff = new Backoff();
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#listen(() => backoff.reset());
      this.#state = null;
      await pause(backoff.next(), signal);
    }
  }

  stop() {
    this.#stopped.abort();
    this.#socket?.close();
    this.#wake();
  }

  /**
   * Resolves when the stream is live, or `signal` aborts. Where the server can't be heard it resolves after a moment, so
   * that whoever waits asks in another way.
   */
  async untilLive(signal) {
    while (this.#state !== 'live' && !signal.aborted) {
      const unheard = this.#state === null;
      const limit = AbortSignal.any(unheard ? [signal, AbortSignal.timeout(UNHEARD_MS)] : [signal]);
      await new Promise((resolve) => {
        this.#waiting.add(resolve);
        limit.addEventListener('abort', resolve, { once: true });
      });
      if (unheard && this.#state === null) return;
    }
  }

  #listen(onHeard) {
    return new Promise((resolve) => {
      const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
      const socket = new WebSocket(`${scheme}//${location.host}/ws`);
      this.#socket = socket;
      socket.onopen = () => {
        if (this.#token) socket.send(JSON.stringify({ id: 'auth', type: 'auth', token: this.#token }));
        this.#subscribe();
      };
      socket.onmessage = ({ data }) => {
        onHeard();
        this.#take(JSON.parse(data));
      };
      socket.onclose = () => resolve();
    });
  }

  #subscribe() {
    this.#socket.send(JSON.stringify({ id: 'subscribe', type: 'subscribe', topic: `stream:${this.#id}` }));
  }

  #take(message) {
    if (message.ok === false) {
      this.#listeners.onRefused(message.error);
      this.stop();
    } else if (message.id === 'subscribe' || message.type === 'stream.state') {
      this.#state = message.state;
      this.#listeners.onState(message.state, message.reason);
      this.#wake();
      // A stream that was deleted goes idle, too: asking again tells.
      if (message.type === 'stream.state' && message.state === 'idle') this.#subscribe();
    } else if (message.type === 'stream.stats') {
      this.#listeners.onStats(message.stats);
    }
  }

  #wake() {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
