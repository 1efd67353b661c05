const POLL_MS = 400;
/** A server that does not answer this often in a row is taken for gone. */
const MAX_LOST_POLLS = 5;

const PLAIN_WORDS = {
  'upload-too-large': (message) => `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
  'upload-incomplete': () => 'The upload stopped before its end. Try again.',
  'upload-empty': () => 'This file is empty.',
  'queue-full': () => 'Too many clips are waiting. Try again in a moment.',
  'storage-full': () => 'The disk of the server is full, so the clip could not be stored.',
  'clip-not-found': () => 'The server has already erased this clip. Upload it again.',
  'input-not-video': () => 'This file is not a video that can be read.',
  'input-empty': () => 'This file holds no video.',
  'input-truncated': () => 'This video is damaged or cut off before its end.',
  'decode-failed': () => 'This video is damaged and cannot be read to its end.',
  'no-space': () => 'The disk of the server is full, so the result could not be written.',
  closed: () => 'The server is shutting down.',
};

/** One clip on its way through the server: upload, blurring, and erasure. */
export class ClipJob {
  #file;
  #id = null;
  #upload = null;
  #ended = new AbortController();

  constructor(file) {
    this.#file = file;
  }

  get outputUrl() {
    return `/demo/clips/${this.#id}/output`;
  }

  /**
   * Runs to the end, telling `{ stage, percent, detail }` as it goes; `percent` is null while it is not known.
   * Rejects with an Error whose message is for people; never settles after `erase()`.
   */
  async run(onProgress) {
    this.#id = (await this.#send(onProgress)).id;
    for (;;) {
      const clip = await this.#poll();
      if (clip.state === 'done') return clip;
      if (clip.state === 'failed') throw plainError(clip.error);
      if (clip.state === 'cancelled') throw plainError({ code: 'clip-not-found' });
      onProgress(clip.state === 'queued' ? waiting() : blurring(clip));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Stops what runs and erases the clip on the server, also while the page is being left. */
  erase() {
    this.#ended.abort();
    this.#upload?.abort();
    if (this.#id) fetch(`/demo/clips/${this.#id}`, { method: 'DELETE', keepalive: true }).catch(() => {});
    this.#id = null;
  }

  // XMLHttpRequest, because fetch does not tell how far an upload is.
  #send(onProgress) {
    const request = new XMLHttpRequest();
    this.#upload = request;
    return new Promise((resolve, reject) => {
      request.upload.onprogress = ({ loaded, total }) => onProgress(uploading(loaded, total));
      request.onload = () => {
        if (request.status === 201) resolve(request.response);
        else reject(plainError(request.response?.error));
      };
      request.onerror = () => reject(new Error('The server could not be reached, or it refused the upload.'));
      request.open('POST', '/demo/clips');
      request.responseType = 'json';
      request.setRequestHeader('Content-Type', 'application/octet-stream');
      request.send(this.#file);
    });
  }

  async #poll() {
    for (let lost = 1; ; lost += 1) {
      try {
        const response = await fetch(`/demo/clips/${this.#id}`, { signal: this.#ended.signal });
        const answer = await response.json();
        if (response.ok) return answer;
        throw plainError(answer.error);
      } catch (error) {
        if (this.#ended.signal.aborted) return new Promise(() => {});
        if (error.code || lost === MAX_LOST_POLLS) {
          throw error.code ? error : new Error('The server does not answer any more. Is it still running?');
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS * lost));
      }
    }
  }
}

function uploading(loaded, total) {
  const percent = total > 0 ? Math.floor((100 * loaded) / total) : 0;
  return { stage: 'Uploading', percent, detail: `${megabytes(loaded)} of ${megabytes(total)} MB` };
}

function waiting() {
  return { stage: 'Waiting', percent: null, detail: 'Other clips come first; this one starts by itself.' };
}

function blurring({ progress, fps, etaMs }) {
  if (fps === null) return { stage: 'Blurring', percent: null, detail: 'Starting' };
  const left = etaMs === null ? '' : ` · ${timeLeft(etaMs)} left`;
  return { stage: 'Blurring', percent: progress, detail: `${Math.round(fps)} frames a second${left}` };
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0);
}

function timeLeft(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function plainError(problem) {
  const code = problem?.code ?? 'internal';
  const words = PLAIN_WORDS[code]?.(problem?.message);
  const error = new Error(words ?? 'The server could not blur this clip. Its log says more.');
  error.code = code;
  return error;
}
