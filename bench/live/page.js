// Runs in Chromium: publishes a canvas with a frame number painted in it by WHIP, plays it by WHEP, reads the number back.
globalThis.bench = (() => {
  const WIDTH = 640;
  const HEIGHT = 360;
  /** Blocks across the top edge: a number, then the same inverted, so that a misread one is known for it. */
  const BITS = 12;
  const BLOCK_HEIGHT = 48;
  const NUMBERS = 2 ** BITS;
  /**
   * A face below them, which moves as people do who sit before a camera. Not larger: Chromium's jitter buffer waits
   * longer the larger frames are (twice as long with a photo that fills the picture), with and without us in between.
   */
  const FACE_SIZE = 150;
  const SWAY = 20;
  const FRAME_MS = 1000 / 30;
  const CONNECT_LIMIT_MS = 15_000;

  const paintedAt = new Float64Array(NUMBERS);
  const samples = [];
  let isSampling = false;
  let unread = 0;
  let painted = 0;

  async function post(url, body, headers = {}) {
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/sdp', ...headers },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${url}: ${response.status} ${text.slice(0, 300)}`);
    return text;
  }

  async function offerOf(connection) {
    await connection.setLocalDescription(await connection.createOffer());
    if (connection.iceGatheringState !== 'complete') {
      await new Promise((resolve) => {
        connection.addEventListener('icegatheringstatechange', () => {
          if (connection.iceGatheringState === 'complete') resolve();
        });
      });
    }
    return connection.localDescription.sdp;
  }

  async function connected(connection) {
    const deadline = performance.now() + CONNECT_LIMIT_MS;
    while (connection.connectionState !== 'connected') {
      if (performance.now() > deadline) throw new Error(`the connection is ${connection.connectionState}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  function receiver() {
    const connection = new RTCPeerConnection();
    connection.addTransceiver('video', { direction: 'recvonly' });
    return connection;
  }

  /** Tells the SFU alone what a viewer here offers. */
  async function prepare(url) {
    const connection = receiver();
    await post(url, await offerOf(connection));
    connection.close();
  }

  function paint(context, face, number) {
    context.fillStyle = '#567';
    context.fillRect(0, 0, WIDTH, HEIGHT);
    const sway = Math.round(SWAY * Math.sin(number / 60));
    context.drawImage(face, (WIDTH - FACE_SIZE) / 2 + sway, (BLOCK_HEIGHT + HEIGHT - FACE_SIZE) / 2);
    const blockWidth = WIDTH / (2 * BITS);
    for (let bit = 0; bit < BITS; bit++) {
      const isSet = ((number >> bit) & 1) === 1;
      for (const [at, isWhite] of [
        [bit, isSet],
        [bit + BITS, !isSet],
      ]) {
        context.fillStyle = isWhite ? '#fff' : '#000';
        context.fillRect(at * blockWidth, 0, blockWidth, BLOCK_HEIGHT);
      }
    }
  }

  /** The number in a picture, or null where it can't be read. */
  function read(context, video) {
    context.drawImage(
      video,
      0,
      0,
      video.videoWidth,
      (video.videoHeight * BLOCK_HEIGHT) / HEIGHT,
      0,
      0,
      WIDTH,
      BLOCK_HEIGHT,
    );
    const { data } = context.getImageData(0, BLOCK_HEIGHT / 2, WIDTH, 1);
    const blockWidth = WIDTH / (2 * BITS);
    const isWhite = (at) => data[4 * Math.floor((at + 0.5) * blockWidth) + 1] > 127;
    let number = 0;
    for (let bit = 0; bit < BITS; bit++) {
      if (isWhite(bit) === isWhite(bit + BITS)) return null;
      if (isWhite(bit)) number |= 1 << bit;
    }
    return number;
  }

  /** Paints and publishes until the page closes. */
  async function publish(url, key, photoBase64, [x, y, width, height], codec) {
    const canvas = document.createElement('canvas');
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    const context = canvas.getContext('2d', { alpha: false });
    const bytes = Uint8Array.from(atob(photoBase64), (character) => character.charCodeAt(0));
    // Scaled once: scaling a large photo for every frame would be most of what is measured.
    const size = { resizeWidth: FACE_SIZE, resizeHeight: FACE_SIZE, resizeQuality: 'high' };
    const face = await createImageBitmap(new Blob([bytes]), x, y, width, height, size);
    paint(context, face, 0);
    const stream = canvas.captureStream(0);
    const [track] = stream.getVideoTracks();
    const connection = new RTCPeerConnection();
    const transceiver = connection.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
    const { codecs } = RTCRtpSender.getCapabilities('video');
    const wanted = codecs.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`);
    const rest = codecs.filter(({ mimeType }) => /rtx|red|ulpfec/i.test(mimeType));
    transceiver.setCodecPreferences([...wanted, ...rest]);
    const answer = await post(url, await offerOf(connection), { authorization: `Bearer ${key}` });
    await connection.setRemoteDescription({ type: 'answer', sdp: answer });
    await connected(connection);
    const startedAt = performance.now();
    const next = () => {
      painted++;
      const number = painted % NUMBERS;
      paint(context, face, number);
      paintedAt[number] = performance.now();
      track.requestFrame();
      setTimeout(next, Math.max(0, startedAt + painted * FRAME_MS - performance.now()));
    };
    next();
    globalThis.publisher = connection;
  }

  async function play(url) {
    const connection = receiver();
    const video = document.createElement('video');
    video.muted = true;
    video.autoplay = true;
    video.width = WIDTH;
    video.height = HEIGHT;
    document.body.append(video);
    connection.addEventListener('track', ({ track }) => {
      video.srcObject = new MediaStream([track]);
      void video.play();
    });
    const offer = await offerOf(connection);
    const postedAt = performance.now();
    const answer = await post(url, offer);
    await connection.setRemoteDescription({ type: 'answer', sdp: answer });
    return { connection, video, postedAt };
  }

  /** Plays, and takes the time of every number that is shown. */
  async function watch(url) {
    const { connection, video } = await play(url);
    await connected(connection);
    const canvas = document.createElement('canvas');
    canvas.width = WIDTH;
    canvas.height = BLOCK_HEIGHT;
    const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
    const onFrame = () => {
      const shownAt = performance.now();
      video.requestVideoFrameCallback(onFrame);
      const number = read(context, video);
      if (!isSampling) return;
      if (number === null) unread++;
      else samples.push(shownAt - paintedAt[number]);
    };
    video.requestVideoFrameCallback(onFrame);
    globalThis.viewer = connection;
  }

  async function sample(ms) {
    samples.length = 0;
    unread = 0;
    const before = painted;
    isSampling = true;
    await new Promise((resolve) => setTimeout(resolve, ms));
    isSampling = false;
    const report = await globalThis.viewer.getStats();
    const inbound = [...report.values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video') ?? {};
    const { frameWidth, frameHeight, packetsLost, framesDropped } = inbound;
    return { ms: [...samples], unread, painted: painted - before, frameWidth, frameHeight, packetsLost, framesDropped };
  }

  /** Milliseconds from the POST of a new viewer to its first frame on screen. */
  async function join(url) {
    const { connection, video, postedAt } = await play(url);
    try {
      return await new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error('no frame was shown')), CONNECT_LIMIT_MS);
        video.requestVideoFrameCallback(() => resolve(performance.now() - postedAt));
      });
    } finally {
      connection.close();
      video.remove();
    }
  }

  return { prepare, publish, watch, sample, join };
})();
