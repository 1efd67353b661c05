import { SdpResource } from './sdp-resource.js';

/** A lost path often comes back by itself; after this long it is asked for. */
const DISCONNECTED_MS = 2000;
/** Longest from an answer, or from an ICE restart, to a connection. */
const CONNECT_MS = 10_000;
/** A session that keeps losing its path is made anew. */
const MAX_RESTARTS = 3;

/** One WebRTC connection by WHIP or WHEP, from its offer to its end. Restarts ICE where its path is lost. */
export class RtcSession {
  #peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  #resource = null;
  #onChange;
  #startBps;
  #restarts = 0;
  #restarting = false;
  #timer;
  #aborted = new AbortController();
  #settle;

  /**
   * Resolves, once, to why it is over: 'closed' by us, 'dismissed' by the server (it said goodbye), or 'lost'.
   */
  ended = new Promise((resolve) => {
    this.#settle = resolve;
  });

  /**
   * @param onChange is told 'connected' and 'interrupted'
   * @param startBps what a sender's video begins with, where its browser can be told
   */
  constructor(onChange, { startBps = null } = {}) {
    this.#onChange = onChange;
    this.#startBps = startBps;
    this.#peer.addEventListener('connectionstatechange', () => this.#follow());
  }

  /** To add tracks to before `open`, and for statistics. */
  get peer() {
    return this.#peer;
  }

  /**
   * Offers what the peer has to an endpoint. An ICE-lite server needs none of our candidates, so they aren't gathered
   * first.
   * @throws Refusal; Error where an SDP does not fit
   */
  async open(endpoint, token) {
    const peer = this.#peer;
    await peer.setLocalDescription();
    const resource = await SdpResource.post(endpoint, peer.localDescription.sdp, token, this.#aborted.signal);
    this.#resource = resource;
    if (this.#aborted.signal.aborted) {
      resource.delete();
      return;
    }
    await this.#accept(resource.answer);
    this.#watchGoodbye();
    this.#awaitConnection();
  }

  #accept(answer) {
    const sdp = this.#startBps === null ? answer : withStartBitrate(answer, this.#startBps);
    return this.#peer.setRemoteDescription({ type: 'answer', sdp });
  }

  /** Ends it here and on the server. */
  close() {
    this.#end('closed');
  }

  // DTLS' close_notify: the connection's own state does not tell it from a path that broke.
  #watchGoodbye() {
    const { transport } = this.#peer.getTransceivers()[0].receiver;
    transport?.addEventListener('statechange', () => transport.state === 'closed' && this.#end('dismissed'));
  }

  #follow() {
    switch (this.#peer.connectionState) {
      case 'connected':
        clearTimeout(this.#timer);
        this.#onChange('connected');
        break;
      case 'disconnected':
        this.#onChange('interrupted');
        this.#wait(DISCONNECTED_MS, () => this.#restart());
        break;
      case 'failed':
        this.#onChange('interrupted');
        this.#restart();
        break;
    }
  }

  async #restart() {
    if (this.#restarting) return;
    if (!this.#resource || this.#restarts === MAX_RESTARTS) return this.#end('lost');
    this.#restarting = true;
    this.#restarts += 1;
    const peer = this.#peer;
    try {
      await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
      await this.#accept(await this.#resource.restartIce(peer));
      this.#awaitConnection();
    } catch {
      // The server is away, or has ended the session: whoever made this one makes another.
      this.#end('lost');
    }
    this.#restarting = false;
  }

  #awaitConnection() {
    // The old path may have come back while the new one was asked for.
    if (this.#peer.connectionState === 'connected') this.#follow();
    else this.#wait(CONNECT_MS, () => this.#end('lost'));
  }

  #wait(ms, then) {
    clearTimeout(this.#timer);
    if (!this.#aborted.signal.aborted) this.#timer = setTimeout(then, ms);
  }

  async #end(reason) {
    if (this.#aborted.signal.aborted) return;
    this.#aborted.abort();
    clearTimeout(this.#timer);
    this.#settle(reason);
    for (const sender of this.#peer.getSenders()) sender.replaceTrack(null).catch(() => {});
    // In this order: to a server that has heard DTLS' goodbye already, there is no such session.
    if (reason !== 'dismissed') await this.#resource?.delete();
    this.#peer.close();
  }
}

/**
 * Chromium sends 300 kbit/s at first, makes the picture small for it, and takes most of a minute to make it large again.
 * It can be told otherwise in the answer's formats; other browsers pass over what they do not know.
 */
function withStartBitrate(sdp, bps) {
  const parameter = `x-google-start-bitrate=${Math.round(bps / 1000)}`;
  return sdp
    .split(/(?=^m=)/m)
    .map((section) => {
      if (!section.startsWith('m=video')) return section;
      const formats = section.match(/^a=rtpmap:\d+ (?:VP8|H264)\//gim) ?? [];
      return formats.reduce((text, line) => addParameter(text, /\d+/.exec(line)[0], parameter), section);
    })
    .join('');
}

function addParameter(section, format, parameter) {
  const line = new RegExp(`^a=fmtp:${format} .*$`, 'm');
  if (line.test(section)) return section.replace(line, (found) => `${found};${parameter}`);
  return `${section}a=fmtp:${format} ${parameter}\r\n`;
}
