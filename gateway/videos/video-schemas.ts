import { z } from 'zod';
import { MAX_PARTS } from '../../recorder/store/object-store.ts';
import { policy } from '../live/schemas.ts';

const MAX_NAME_LENGTH = 255;
const MAX_FACES = 10_000;

/** One line that shows what it says: nothing in it breaks a line or turns the direction of what follows. */
const text = z
  .string()
  .transform((value) => value.normalize('NFC').trim())
  .pipe(
    z
      .string()
      .min(1, `must be 1 to ${MAX_NAME_LENGTH} characters`)
      .max(MAX_NAME_LENGTH, `must be 1 to ${MAX_NAME_LENGTH} characters`)
      .regex(/^[^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/u, 'must be without control characters'),
  );

/** A name, and no path. */
const filename = text.refine(
  (name) => !/[/\\]/.test(name) && name !== '.' && name !== '..',
  'must be a name without folders',
);

/** Body of `POST /v1/videos`. */
export const newVideo = z.strictObject({
  filename,
  size: z.int('must be a whole number of bytes').min(1, 'must be at least 1'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'must be 64 hexadecimal digits')
    .transform((hash) => hash.toLowerCase())
    .optional(),
  title: text.optional(),
});

/** `Idempotency-Key`. */
export const idempotencyKey = z.string().regex(/^[\x21-\x7e]{1,200}$/, 'Idempotency-Key: must be 1 to 200 characters');

/** Body of `POST /v1/videos/{id}/complete`. */
export const completion = z.strictObject({
  parts: z
    .array(z.strictObject({ number: z.int().min(1).max(MAX_PARTS), etag: z.string().min(1).max(200) }))
    .max(MAX_PARTS, `must be at most ${MAX_PARTS}`)
    .optional(),
});

/** Body of `PATCH /v1/videos/{id}/faces/{face}`. */
export const faceChange = z.strictObject({ visible: z.boolean() });

/** Body of `PATCH /v1/videos/{id}/faces`. */
export const facesChange = z.strictObject({
  visible: z.boolean(),
  faces: z.array(z.int().min(1)).max(MAX_FACES, `must be at most ${MAX_FACES}`).optional(),
});

/** Body of `POST /v1/videos/{id}/render`. */
export const renderRequest = z.strictObject({ policy: policy.optional() });

/** Query of `GET /v1/videos/{id}/faces`. */
export const facesPage = z.object({
  limit: z
    .string()
    .regex(/^([1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .default('200')
    .transform(Number),
  cursor: z
    .string()
    .regex(/^\d{1,9}$/, 'must be the next of a page')
    .default('0')
    .transform(Number),
});

/** Query of `GET /v1/videos/{id}/download`. */
export const download = z.object({ format: z.enum(['mp4', 'report']).default('mp4') });
