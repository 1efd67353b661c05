import { GatewayError } from '../errors.ts';
import { boundaryOf, readMultipart } from '../identities/multipart.ts';
import type { Still } from './stills.ts';

/** Parts of a form, or fields of an object: the contract's largest has 33. */
const MAX_PARTS = 64;

/** The pictures of a request by the name of their field, less the `[]` at its end, in the order in which they came. */
export type ImageFields = ReadonlyMap<string, readonly Still[]>;

/**
 * Takes the pictures out of a body: the parts of a form (multipart/form-data), or the base64 strings, and lists of such,
 * of a JSON object. What they are is not looked at. Those of a form are views of the body.
 * @throws GatewayError 'unsupported-media-type' | 'bad-request'
 */
export function imagesOf(body: Buffer, contentType: string | undefined): ImageFields {
  const type = mediaTypeOf(contentType);
  if (type === 'multipart/form-data') {
    const parts = readMultipart(body, boundaryOf(contentType), MAX_PARTS);
    return named(parts.map(({ name, content }) => [name, content]));
  }
  if (type === 'application/json') return named(base64sOf(body));
  const message = 'send multipart/form-data, or application/json with the pictures in base64';
  throw new GatewayError('unsupported-media-type', message);
}

/** What a Content-Type names, lower case, without its parameters. */
export function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';')[0]!.trim().toLowerCase();
}

type Picture = readonly [field: string, bytes: Uint8Array];

function base64sOf(body: Buffer): Picture[] {
  const object = objectOf(body);
  const fields = Object.entries(object).slice(0, MAX_PARTS);
  return fields.flatMap(([field, value]) => {
    if (typeof value === 'string') return [[field, bytesOf(value, field)]];
    if (!Array.isArray(value)) return [];
    if (value.length > MAX_PARTS) throw new GatewayError('bad-request', `${shown(field)} has more than ${MAX_PARTS}`);
    return value.map((item, i): Picture => [field, bytesOf(item, `${field}[${i}]`)]);
  });
}

function objectOf(body: Buffer): object {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    // V8's message quotes what it could not read.
    throw new GatewayError('bad-request', 'the body is not JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatewayError('bad-request', 'the body is not a JSON object');
  }
  return value;
}

/** RFC 4648 §4 or §5, in lines as well, and as a data: URL. */
function bytesOf(value: unknown, field: string): Uint8Array {
  if (typeof value !== 'string') throw new GatewayError('bad-request', `${shown(field)}: must be a picture in base64`);
  const [head] = /^data:[^,]{0,100};base64,/.exec(value) ?? [''];
  const text = value.slice(head.length);
  const bytes = Buffer.from(text, 'base64');
  // Looked through for white space only where there seems to be some: a picture has many megabytes.
  if (isAllOf(bytes, text) || isAllOf(bytes, text.replace(/\s+/g, ''))) return bytes;
  throw new GatewayError('bad-request', `${shown(field)}: is not base64`);
}

/** Node skips over what is no base64, so the length tells whether all of it was. */
function isAllOf(bytes: Uint8Array, base64: string): boolean {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  const digits = base64.length - padding;
  return digits % 4 !== 1 && bytes.length === Math.floor((digits * 3) / 4);
}

function named(pictures: readonly Picture[]): ImageFields {
  const fields = new Map<string, Still[]>();
  for (const [field, bytes] of pictures) {
    const key = field.replace(/\[\]$/, '');
    const stills = fields.get(key) ?? [];
    stills.push({ name: `${shown(key)}[${stills.length}]`, bytes });
    fields.set(key, stills);
  }
  return fields;
}

/** A field's name as it may be repeated in an error. */
function shown(field: string): string {
  return field.replace(/[^\x20-\x7e]/g, '?').slice(0, 40);
}
