import { ask } from './refusal.js';

/** Where the tab keeps its stream, key and all, until it is closed: sessionStorage is no other tab's and no server's. */
const KEPT = 'faceblur-live-stream';

/** The stream that this tab made: what the Streams API says of it, and its key. */
export class LiveStream {
  /** As the API answered last. */
  #view;
  key;

  /** Makes a stream on the server. @throws Refusal */
  static async create() {
    const { key, ...view } = await (await ask('/v1/streams', json('POST', {}))).json();
    const stream = new LiveStream(view, key);
    sessionStorage.setItem(KEPT, JSON.stringify({ id: view.id, key }));
    return stream;
  }

  /** The stream from before a reload, or null. */
  static async restore() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(KEPT));
      if (!kept) return null;
      return new LiveStream(await (await ask(addressOf(kept.id))).json(), kept.key);
    } catch {
      // Deleted meanwhile, by whomever, or the server is another one: there is nothing to go on with.
      LiveStream.forget();
      return null;
    }
  }

  static forget() {
    sessionStorage.removeItem(KEPT);
  }

  constructor(view, key) {
    this.#view = view;
    this.key = key;
  }

  get id() {
    return this.#view.id;
  }

  get policy() {
    return this.#view.policy;
  }

  get whip() {
    return this.#view.publish.whip;
  }

  get rtmp() {
    return this.#view.publish.rtmp;
  }

  /** WHIP on this page's own origin, which may be another name of the server than the API's. */
  get whipPath() {
    return `/whip/${this.id}`;
  }

  /** The page that only shows it. */
  get watchUrl() {
    return this.#view.play.page;
  }

  /** Changes how faces are covered, from the next frame on. @throws Refusal */
  async setPolicy(changes) {
    this.#view = await (await ask(addressOf(this.id), json('PATCH', { policy: changes }))).json();
  }

  /** `{ state, reason, stats }` as they are now. @throws Refusal */
  async now() {
    this.#view = await (await ask(addressOf(this.id))).json();
    return this.#view;
  }

  /** Also while the page is being left. @throws Refusal */
  async delete() {
    LiveStream.forget();
    await ask(addressOf(this.id), { method: 'DELETE', keepalive: true });
  }
}

function addressOf(id) {
  return `/v1/streams/${encodeURIComponent(id)}`;
}

function json(method, body) {
  return { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}
