const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

const CAMERA_WORDS = {
  NotAllowedError:
    'This page was not allowed to use the camera. Allow it beside the address bar and try again, or play a video file instead.',
  NotFoundError: 'No camera was found. Connect one and try again, or play a video file instead.',
  NotReadableError: 'The camera is in use by another program, or was switched off. Free it and try again.',
  AbortError: 'The camera could not be started. Try again.',
};

/** What a camera or a file gives to be sent. Whoever opened it closes it. */
export class Capture {
  #release;
  media;
  /** What is to be known of it, for people; often empty. */
  note;
  /** What it is called on the page. */
  title;

  /** @throws Error whose message is for people */
  static async camera(preview) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        'Browsers give a page the camera only over HTTPS or on localhost. Open this page on the machine itself, or play a video file instead.',
      );
    }
    const { media, note } = await openCamera();
    preview.srcObject = media;
    preview.play().catch(() => {});
    const release = () => {
      for (const track of media.getTracks()) track.stop();
      preview.srcObject = null;
    };
    return new Capture({ media, note, title: 'What the camera sees', release });
  }

  /** Plays a file in a loop, and takes what it plays; `preview` shows it. @throws Error whose message is for people */
  static async file(file, preview) {
    const player = document.createElement('video');
    const take = player.captureStream ?? player.mozCaptureStream;
    if (!take) throw new Error('This browser cannot send a file as a camera. Chrome, Edge and Firefox can.');
    const url = URL.createObjectURL(file);
    const sound = new AudioContext();
    let media = null;
    const release = () => {
      for (const track of media?.getTracks() ?? []) track.stop();
      preview.srcObject = null;
      player.removeAttribute('src');
      player.load();
      sound.close();
      URL.revokeObjectURL(url);
    };
    Object.assign(player, { src: url, loop: true, playsInline: true });
    try {
      const output = sound.createMediaStreamDestination();
      // From here on the file is not heard: a player that were muted instead would be captured without its sound.
      sound.createMediaElementSource(player).connect(output);
      await Promise.all([player.play(), sound.resume()]);
      media = new MediaStream([...take.call(player).getVideoTracks(), ...output.stream.getAudioTracks()]);
    } catch {
      release();
      throw new Error('This browser cannot play this file. MP4 with H.264 and WebM always work.');
    }
    if (media.getVideoTracks().length === 0) {
      release();
      throw new Error('This file has no picture that the browser can play.');
    }
    preview.srcObject = media;
    preview.play().catch(() => {});
    return new Capture({ media, note: '', title: 'What the file shows', release });
  }

  constructor({ media, note, title, release }) {
    this.media = media;
    this.note = note;
    this.title = title;
    this.#release = release;
  }

  /** @param listener is called when it ends by itself: the camera was unplugged, or the browser took it back */
  onLost(listener) {
    const [track] = this.media.getVideoTracks();
    track.addEventListener('ended', listener, { once: true });
  }

  close() {
    this.#release();
  }
}

async function openCamera() {
  try {
    return { media: await navigator.mediaDevices.getUserMedia({ video: VIDEO, audio: AUDIO }), note: '' };
  } catch (error) {
    // Which of the two is missing or refused is not told; a picture without sound is better than none.
    const media = await navigator.mediaDevices.getUserMedia({ video: VIDEO }).catch(() => null);
    if (media) return { media, note: 'Without sound: the microphone is missing or was not allowed.' };
    throw new Error(CAMERA_WORDS[error.name] ?? 'The camera could not be started.');
  }
}
