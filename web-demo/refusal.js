const PLAIN_WORDS = {
  unauthorized: 'The key or token was not accepted. It may have been replaced by a new one.',
  forbidden: 'This credential does not open this stream.',
  'stream-not-found': 'The server has no such stream. It may have been deleted.',
  'stream-not-live': 'Nobody is sending to this stream at the moment.',
  'no-common-codec': 'This browser and the stream have no video format in common.',
  'too-many': 'The server has no room for one more at the moment.',
  'too-many-streams': 'The server has no room for one more stream. Delete one that is not needed.',
  closed: 'The server is shutting down.',
};

/** What the server answered instead of what was asked for; its message is for people. */
export class Refusal extends Error {
  /** HTTP status; 0 where the server was not reached. */
  status;
  code;
  /** When the server asks to be tried again; null where it does not. */
  retryAfterMs;

  constructor({ status, code, message, retryAfterMs = null }) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same request can succeed later without anybody changing anything. */
  get passes() {
    return this.retryAfterMs !== null || this.status === 0 || this.status === 409 || this.status >= 500;
  }
}

/** `fetch` that throws a Refusal for everything but a good answer, and an AbortError when `signal` says so. */
export async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new Refusal({ status: 0, code: 'unreachable', message: 'The server does not answer. Is it still running?' });
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

async function refusalOf(response) {
  const answer = await response.json().catch(() => null);
  const code = answer?.error?.code ?? 'internal';
  const seconds = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  return new Refusal({
    status: response.status,
    code,
    message: answer?.error ? plainWords(answer.error) : `The server answered ${response.status}.`,
    retryAfterMs: Number.isNaN(seconds) ? null : seconds * 1000,
  });
}

/** What an error of the API means to people. */
export function plainWords({ code, message }) {
  return PLAIN_WORDS[code] ?? sentence(message ?? code);
}

/** A server's words, which begin small and end without a stop, as a sentence; empty for null. */
export function sentence(text) {
  return text ? `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}` : '';
}
