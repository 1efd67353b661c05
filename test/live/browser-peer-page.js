// What a page does with mediasoup-client on `/ws`: publishes its camera, and watches.
import { Device } from 'mediasoup-client';

const ANSWER_MS = 10_000;
/** Browsers begin with 300 kbit/s where nobody says otherwise, and take long to reach what the picture needs. */
const START_KBPS = 1500;

/** One WebSocket: each request with the answer to it, and the events in between. */
class Connection {
  #socket;
  #waiting = new Map();
  #nextId = 1;
  events = [];

  static async open() {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('the socket did not open'));
    });
    return new Connection(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.id === undefined) this.events.push(message);
      else this.#waiting.get(message.id)?.(message);
    };
  }

  /** @returns what the answer holds; a refusal rejects with its code */
  ask(type, fields) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${type}`)), ANSWER_MS);
      this.#waiting.set(id, ({ ok, error, id: _asked, ...rest }) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        if (ok) resolve(rest);
        else reject(new Error(error.code));
      });
      this.#socket.send(JSON.stringify({ id, type, ...fields }));
    });
  }

  close() {
    this.#socket.close();
  }
}

/** A mediasoup-client on one stream. */
class BrowserPeer {
  #connection;
  #stream;
  #device = new Device();
  #consumers = [];
  /** The transports that it made last. */
  sending = null;
  watching = null;

  static async open(stream) {
    const connection = await Connection.open();
    const peer = new BrowserPeer(connection, stream);
    const { rtpCapabilities } = await connection.ask('rtc.capabilities', { stream });
    await peer.#device.load({ routerRtpCapabilities: rtpCapabilities });
    return peer;
  }

  constructor(connection, stream) {
    this.#connection = connection;
    this.#stream = stream;
  }

  get events() {
    return this.#connection.events;
  }

  ask(type, fields) {
    return this.#connection.ask(type, fields);
  }

  /** @returns the media types that it sends */
  async publish({ key, mimeType }) {
    const transport = await this.#transport('send');
    this.sending = transport;
    transport.on('produce', ({ kind, rtpParameters }, resolve, reject) => {
      this.ask('rtc.produce', { transport: transport.id, kind, rtpParameters, key }).then(
        ({ producer }) => resolve({ id: producer }),
        reject,
      );
    });
    const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
    const sent = [];
    for (const track of camera.getTracks()) {
      const codec = this.#device.sendRtpCapabilities.codecs.find((offered) => offered.mimeType === mimeType);
      const video = { codec, codecOptions: { videoGoogleStartBitrate: START_KBPS } };
      const producer = await transport.produce({ track, ...(track.kind === 'video' ? video : {}) });
      sent.push(producer.rtpParameters.codecs[0].mimeType);
    }
    return sent.sort();
  }

  /** Plays the stream in the page's video. @returns the media types that come */
  async watch({ raw = false } = {}) {
    const transport = await this.#transport('recv', raw);
    this.watching = transport;
    const { recvRtpCapabilities: rtpCapabilities } = this.#device;
    const media = new MediaStream();
    for (const kind of ['video', 'audio']) {
      const { consumer } = await this.ask('rtc.consume', { stream: this.#stream, kind, rtpCapabilities, raw });
      const received = await transport.consume(consumer);
      this.#consumers.push(received);
      media.addTrack(received.track);
      await this.ask('rtc.resume', { consumer: consumer.id });
    }
    const video = document.querySelector('video');
    video.srcObject = media;
    await video.play();
    return this.#consumers.map(({ rtpParameters }) => rtpParameters.codecs[0].mimeType).sort();
  }

  /** The energy of the sound that was played so far. */
  async heard() {
    let energy = 0;
    for (const consumer of this.#consumers) {
      for (const { type, kind, totalAudioEnergy } of (await consumer.getStats()).values()) {
        if (type === 'inbound-rtp' && kind === 'audio') energy += totalAudioEnergy;
      }
    }
    return energy;
  }

  /** Only the socket: what came of it is the server's to end. */
  close() {
    this.#connection.close();
  }

  async #transport(direction, raw = false) {
    const { transport: made } = await this.ask('rtc.createTransport', { stream: this.#stream, direction, raw });
    const transport = this.#device[direction === 'send' ? 'createSendTransport' : 'createRecvTransport'](made);
    transport.on('connect', ({ dtlsParameters }, resolve, reject) => {
      this.ask('rtc.connect', { transport: transport.id, dtlsParameters }).then(resolve, reject);
    });
    return transport;
  }
}

/** The page's peer, for the test to speak to. */
globalThis.openPeer = async (stream) => {
  globalThis.peer = await BrowserPeer.open(stream);
};
