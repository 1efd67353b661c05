import { SfuError, type SfuErrorCode } from '../errors.ts';

/** Largest SDP or fragment that is looked at, in bytes as UTF-8. Real offers have 1 to 10 KiB. */
export const MAX_SDP_BYTES = 65_536;
/** Browsers offer two to four; each costs a section of the answer. */
export const MAX_MEDIA_SECTIONS = 16;
/** Real offers have at most a few hundred. */
const MAX_LINES = 2048;
/** Real lines have at most a few hundred characters; a bound keeps every regular expression behind it cheap. */
const MAX_LINE_LENGTH = 1024;

/** Anything below space but the tab and the line ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/**
 * Checks the outer form of an SDP or of a fragment, before a parser sees it.
 * @param code what to throw when it is too long, or no text
 */
export function checkText(text: unknown, code: SfuErrorCode): asserts text is string {
  if (typeof text !== 'string' || text.trim() === '') throw new SfuError(code, 'the body is empty');
  // Every character is at least a byte, so that a huge text is refused before it is measured.
  if (text.length > MAX_SDP_BYTES || Buffer.byteLength(text) > MAX_SDP_BYTES) {
    throw new SfuError(code, `the body is larger than ${MAX_SDP_BYTES} bytes`);
  }
  if (CONTROL.test(text)) throw new SfuError(code, 'the body has control characters in it');
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.length > MAX_LINES) throw new SfuError(code, `the body has more than ${MAX_LINES} lines`);
  if (lines.some((line) => line.length > MAX_LINE_LENGTH)) {
    throw new SfuError(code, `the body has a line of more than ${MAX_LINE_LENGTH} characters`);
  }
  if (lines.filter((line) => line.startsWith('m=')).length > MAX_MEDIA_SECTIONS) {
    throw new SfuError(code, `the body has more than ${MAX_MEDIA_SECTIONS} m= lines`);
  }
}

/** ICE credentials of one side (RFC 8839 §5.4). */
export interface IceCredentials {
  readonly usernameFragment: string;
  readonly password: string;
}

/**
 * Reads a pair of `a=ice-ufrag` and `a=ice-pwd`; sdp-transform makes numbers of values that look like one.
 * @returns null where neither is there
 */
export function readIceCredentials(ufrag: unknown, pwd: unknown, code: SfuErrorCode): IceCredentials | null {
  if (ufrag === undefined && pwd === undefined) return null;
  const usernameFragment = String(ufrag ?? '');
  const password = String(pwd ?? '');
  // RFC 8839 §5.4: ufrag = 4*256ice-char, password = 22*256ice-char
  if (!/^[A-Za-z0-9+/]{4,256}$/.test(usernameFragment)) throw new SfuError(code, 'a=ice-ufrag is missing or malformed');
  if (!/^[A-Za-z0-9+/]{22,256}$/.test(password)) throw new SfuError(code, 'a=ice-pwd is missing or malformed');
  return { usernameFragment, password };
}

/** Reads an `a=mid` (RFC 8859: a token); null where it is absent. */
export function readMid(mid: unknown, code: SfuErrorCode): string | null {
  if (mid === undefined) return null;
  const token = String(mid);
  if (!/^[\w!#$%&'*+.^`{|}~-]{1,64}$/.test(token)) throw new SfuError(code, 'an a=mid is malformed');
  return token;
}
