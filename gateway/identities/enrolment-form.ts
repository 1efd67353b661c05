import { MAX_IMAGE_BYTES } from '../../inference/image/image-limits.ts';
import { GatewayError } from '../errors.ts';
import { boundaryOf, type FormPart, readMultipart, textOf } from './multipart.ts';

export const MAX_PHOTOS = 20;
export const MAX_NAME_LENGTH = 200;

/** Who is to be enrolled. */
export interface EnrolmentForm {
  readonly name: string;
  /** 1 to 20 files, whatever is in them, in the order in which they were given. */
  readonly photos: readonly Uint8Array[];
}

/**
 * The form of `POST /v1/identities`: `name`, and files called `images[]` or `images`.
 * @throws GatewayError 'unsupported-media-type' | 'bad-request' | 'body-too-large' for one file
 */
export function readEnrolmentForm(body: Buffer, contentType: string | undefined): EnrolmentForm {
  const parts = readMultipart(body, boundaryOf(contentType), MAX_PHOTOS + 2);
  const names = parts.filter(({ name }) => name === 'name');
  const photos = parts.filter(({ name }) => name === 'images[]' || name === 'images');
  if (names.length + photos.length < parts.length) throw refused('a field is neither name nor images[]');
  if (names.length !== 1) throw refused('name: must be there once');
  if (photos.length < 1 || photos.length > MAX_PHOTOS) throw refused(`images[]: must be 1 to ${MAX_PHOTOS} files`);
  return { name: nameOf(names[0]!), photos: photos.map(photoOf) };
}

function nameOf({ filename, content }: FormPart): string {
  if (filename !== null) throw refused('name: must be text, not a file');
  const name = textOf(content).normalize('NFC').trim();
  const length = [...name].length;
  if (length < 1 || length > MAX_NAME_LENGTH) throw refused(`name: must be 1 to ${MAX_NAME_LENGTH} characters`);
  // Those that break a line or turn the direction of what follows would show one name as another.
  if (/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(name)) {
    throw refused('name: must be without control characters');
  }
  return name;
}

function photoOf({ filename, content }: FormPart, index: number): Uint8Array {
  if (filename === null) throw refused(`images[]: number ${index} must be a file`);
  if (content.length > MAX_IMAGE_BYTES) {
    throw new GatewayError('body-too-large', `images[]: number ${index} is larger than ${MAX_IMAGE_BYTES} bytes`);
  }
  return content;
}

function refused(message: string): GatewayError {
  return new GatewayError('bad-request', message);
}
