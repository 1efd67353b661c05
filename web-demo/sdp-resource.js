import { ask } from './refusal.js';

const GOODBYE_MS = 1000;
/** A server that has not answered an SDP by then is taken for gone. */
const ANSWER_MS = 15_000;

/** A WHIP (RFC 9725) or WHEP session as its server keeps it: made by an offer, named by a Location, ended by DELETE. */
export class SdpResource {
  #url;
  #etag;
  #token;
  answer;

  /**
   * Posts an offer to an endpoint.
   * @param token goes into `Authorization: Bearer`; null for none
   * @throws Refusal
   */
  static async post(endpoint, offer, token, signal) {
    const response = await ask(endpoint, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp', ...bearer(token) },
      body: offer,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    // RFC 9725 §4.2: Location may be relative to the endpoint.
    const url = new URL(response.headers.get('Location'), new URL(endpoint, location.href));
    return new SdpResource(url.href, response.headers.get('ETag'), token, await response.text());
  }

  constructor(url, etag, token, answer) {
    this.#url = url;
    this.#etag = etag;
    this.#token = token;
    this.answer = answer;
  }

  /** Of the ICE session that runs now. */
  get etag() {
    return this.#etag;
  }

  /**
   * Asks for an ICE restart (RFC 9725 §4.3.3) with the credentials of the offer that is `peer`'s local description.
   * @returns the answer to that offer: the one before, with the server's new credentials and candidates
   * @throws Refusal
   */
  async restartIce(peer) {
    const response = await ask(this.#url, {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*', ...bearer(this.#token) },
      body: fragmentOf(peer.localDescription.sdp),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    this.#etag = response.headers.get('ETag');
    this.answer = withFragment(this.answer, await response.text());
    return this.answer;
  }

  /** Ends the session on the server, also while the page is being left. Resolves when it has, or could not. */
  async delete() {
    const options = { method: 'DELETE', headers: bearer(this.#token), keepalive: true };
    // Whatever comes of it: without consent (RFC 7675) the server ends the session by itself.
    await fetch(this.#url, { ...options, signal: AbortSignal.timeout(GOODBYE_MS) }).catch(() => {});
  }
}

function bearer(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** The ICE part of an SDP (RFC 8840 §9): with BUNDLE one pair of credentials, and the first section to say whose. */
function fragmentOf(sdp) {
  const lines = sdp.split('\r\n');
  const first = (prefix) => lines.find((line) => line.startsWith(prefix));
  const wanted = ['a=group:BUNDLE', 'a=ice-ufrag:', 'a=ice-pwd:', 'm=', 'a=mid:'].map(first);
  return `${wanted.filter(Boolean).join('\r\n')}\r\n`;
}

/** An SDP with the credentials and candidates of a fragment in the place of its own. */
function withFragment(sdp, fragment) {
  const theirs = fragment.split(/\r?\n/);
  const credentials = ['a=ice-ufrag:', 'a=ice-pwd:'].map((name) => [
    name,
    theirs.find((line) => line.startsWith(name)),
  ]);
  const candidates = theirs.filter((line) => line.startsWith('a=candidate:'));
  const [session, ...sections] = sdp.split(/(?=^m=)/m);
  const renewed = sections.map((section, index) => {
    const lines = section.split('\r\n').filter((line) => line !== '');
    const kept =
      candidates.length > 0 ? lines.filter((line) => !/^a=(candidate:|end-of-candidates)/.test(line)) : lines;
    return `${[...kept, ...(index === 0 ? candidates : [])].join('\r\n')}\r\n`;
  });
  return [session, ...renewed]
    .join('')
    .split('\r\n')
    .map((line) => credentials.find(([name, value]) => value && line.startsWith(name))?.[1] ?? line)
    .join('\r\n');
}
