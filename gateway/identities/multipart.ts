import { GatewayError } from '../errors.ts';

/** One field of a form. */
export interface FormPart {
  readonly name: string;
  /** What a file was called; null for a field of text. */
  readonly filename: string | null;
  /** A view of the body. */
  readonly content: Buffer;
}

const CRLF = '\r\n';
const MAX_HEADER_BYTES = 4096;

/**
 * The boundary that a `Content-Type: multipart/form-data` names.
 * @throws GatewayError 'unsupported-media-type' for another type, 'bad-request' for none or a wrong boundary
 */
export function boundaryOf(contentType: string | undefined): string {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType ?? '')) {
    throw new GatewayError('unsupported-media-type', 'the body must be multipart/form-data');
  }
  // RFC 2046 §5.1.1: 1 to 70 of these characters, the last one no space.
  const boundary = /;\s*boundary=(?:"([\w'()+,\-./:=? ]{1,70})"|([\w'()+\-./:=?]{1,70}))\s*(?:;|$)/i.exec(contentType!);
  const text = boundary?.[1] ?? boundary?.[2] ?? '';
  if (text === '' || text.endsWith(' ')) throw malformed('its Content-Type names no boundary');
  return text;
}

/**
 * The parts of a form, in order, without a copy: the platform's own reader copies each file twice, on the thread that
 * moves packets.
 *
 *     --boundary CRLF  header CRLF … CRLF  content CRLF  --boundary CRLF  …  --boundary--      RFC 2046 §5.1.1, RFC 7578
 *
 * @throws GatewayError 'bad-request' for a body that is none, is cut off, or has too many parts
 */
export function readMultipart(body: Buffer, boundary: string, maxParts: number): FormPart[] {
  const delimiter = Buffer.from(`${CRLF}--${boundary}`, 'latin1');
  const parts: FormPart[] = [];
  // The first delimiter may stand at the very beginning, without the end of a line before it.
  const opening = delimiter.subarray(CRLF.length);
  let at = body.subarray(0, opening.length).equals(opening)
    ? opening.length
    : after(body.indexOf(delimiter), delimiter);
  while (!startsWith(body, at, '--')) {
    if (parts.length === maxParts) throw malformed(`it has more than ${maxParts} fields`);
    const contentEnd = body.indexOf(delimiter, at);
    if (contentEnd < 0) throw malformed('it is cut off');
    parts.push(readPart(body.subarray(at, contentEnd)));
    at = contentEnd + delimiter.length;
  }
  return parts;
}

/** @param part from the end of its delimiter's text to the next delimiter */
function readPart(part: Buffer): FormPart {
  const lineEnd = part.indexOf(CRLF);
  if (lineEnd < 0 || !/^[ \t]*$/.test(part.toString('latin1', 0, Math.min(lineEnd, MAX_HEADER_BYTES)))) {
    throw malformed('a boundary is not on a line of its own');
  }
  const headersEnd = part.subarray(0, lineEnd + MAX_HEADER_BYTES).indexOf(CRLF + CRLF, lineEnd);
  if (headersEnd < 0) throw malformed('the headers of a field have no end');
  const headers = textOf(part.subarray(lineEnd, headersEnd));
  const disposition = /\r\ncontent-disposition:[ \t]*form-data[ \t]*((?:;[^\r\n]*)?)(?:\r\n|$)/i.exec(headers)?.[1];
  const name = parameterOf(disposition ?? '', 'name');
  if (name === null) throw malformed('a field has no name');
  const content = part.subarray(headersEnd + 2 * CRLF.length);
  return { name, filename: parameterOf(disposition!, 'filename'), content };
}

/** RFC 7578 §4.2: quoted; browsers write a quote as %22, others as \". */
function parameterOf(disposition: string, name: string): string | null {
  for (const [, key, quoted, token] of disposition.matchAll(/;\s*([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))/g)) {
    if (key!.toLowerCase() === name) return token ?? quoted!.replace(/\\(["\\])/g, '$1').replace(/%22/g, '"');
  }
  return null;
}

/** @throws GatewayError 'bad-request' for bytes that are no UTF-8 */
export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new GatewayError('bad-request', 'the form holds text that is not UTF-8', { cause: error });
  }
}

function after(found: number, delimiter: Buffer): number {
  if (found < 0) throw malformed('its boundary is not in it');
  return found + delimiter.length;
}

function startsWith(body: Buffer, at: number, text: string): boolean {
  return body.toString('latin1', at, at + text.length) === text;
}

function malformed(reason: string): GatewayError {
  return new GatewayError('bad-request', `the body is no multipart form: ${reason}`);
}
