import { z } from 'zod';
import { BLUR_STYLES } from '../../inference/policy.ts';
import { GatewayError } from '../errors.ts';
import { REDACTED } from './redact-url.ts';
import { MAX_LOOKAHEAD_FRAMES, POLICY_MODES } from './stream-policy.ts';

const MAX_URL_LENGTH = 2048;
const MAX_PUSH_TARGETS = 8;
const MAX_IDENTITIES = 100;
const MAX_TOKEN_SECONDS = 86_400;
/** Of what a client sent, this much is repeated to it in an error. */
const MAX_NAMED = 3;
const MAX_NAME_LENGTH = 40;

export const streamId = z
  .string()
  .regex(/^[a-z0-9-]{1,64}$/i, 'must be 1 to 64 letters, digits and hyphens')
  .transform((id) => id.toLowerCase());

const fraction = z.number().min(0, 'must be from 0 to 1').max(1, 'must be from 0 to 1');

export const policy = z.strictObject({
  mode: z.enum(POLICY_MODES).optional(),
  identities: z.array(z.string().min(1).max(64)).max(MAX_IDENTITIES).optional(),
  style: z.enum(BLUR_STYLES).optional(),
  strength: fraction.optional(),
  margin: fraction.optional(),
  lookaheadFrames: z
    .int(`must be a whole number from 0 to ${MAX_LOOKAHEAD_FRAMES}`)
    .min(0, `must be from 0 to ${MAX_LOOKAHEAD_FRAMES}`)
    .max(MAX_LOOKAHEAD_FRAMES, `must be from 0 to ${MAX_LOOKAHEAD_FRAMES}`)
    .optional(),
});

/** An absolute address of one of these schemes, printable ASCII only (RFC 3986 §2), with a host. */
function mediaUrl(...schemes: readonly string[]) {
  const wanted = `must be an address that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`;
  return z
    .string()
    .max(MAX_URL_LENGTH, `must be at most ${MAX_URL_LENGTH} characters`)
    .refine((text) => {
      const url = /^[\x21-\x7e]+$/.test(text) ? URL.parse(text) : null;
      return url !== null && url.hostname !== '' && schemes.includes(url.protocol) && url.href.includes('://');
    }, wanted)
    .refine((text) => !text.includes(REDACTED), `must be the whole address; ${REDACTED} stands for a secret`);
}

const push = z
  .array(mediaUrl('rtmp:'))
  .max(MAX_PUSH_TARGETS, `must be at most ${MAX_PUSH_TARGETS} addresses`)
  .refine((targets) => new Set(targets).size === targets.length, 'must not name a target twice');

/** Body of `POST /v1/streams`. */
export const newStream = z.strictObject({
  id: streamId.optional(),
  policy: policy.optional(),
  record: z.boolean().optional(),
  hls: z.boolean().optional(),
  source: mediaUrl('rtsp:', 'rtmp:').optional(),
  push: push.optional(),
});
export type NewStream = z.infer<typeof newStream>;

/** Body of `PATCH /v1/streams/{id}`. */
export const streamChanges = z.strictObject({
  policy: policy.optional(),
  record: z.boolean().optional(),
  push: push.optional(),
});
export type StreamChanges = z.infer<typeof streamChanges>;

/** Body of `PATCH /v1/streams/{id}/faces/{track}`. */
export const faceChanges = z.strictObject({ visible: z.boolean() });

/** Body of `POST /v1/streams/{id}/play-tokens`. */
export const newPlayToken = z.strictObject({
  expiresIn: z
    .int('must be a whole number of seconds')
    .min(1, `must be from 1 to ${MAX_TOKEN_SECONDS}`)
    .max(MAX_TOKEN_SECONDS, `must be from 1 to ${MAX_TOKEN_SECONDS}`)
    .default(3600),
});

/** Query of a list. */
export const page = z.object({
  limit: z
    .string()
    .regex(/^([1-9]\d?|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .default('50')
    .transform(Number),
  cursor: z.string().max(200).optional(),
});

/**
 * What `value` means by `schema`.
 * @throws GatewayError 'bad-request' that says what is wrong and where, in one line, without the values
 */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, MAX_NAMED).map(describe);
  throw new GatewayError('bad-request', problems.join('; '));
}

function describe(issue: z.core.$ZodIssue): string {
  const where = shorten(issue.path.map(String).join('.'), MAX_NAME_LENGTH * MAX_NAMED);
  const what = reason(issue);
  return where === '' ? what : `${where}: ${what}`;
}

function reason(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.slice(0, MAX_NAMED).map((key) => `"${shorten(key, MAX_NAME_LENGTH)}"`);
    return `unknown field ${names.join(', ')}`;
  }
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`;
  return issue.message;
}

/** One short line of printable characters, whatever a client called its fields. */
function shorten(name: string, length: number): string {
  const printable = name.replace(/[^\x20-\x7e]/g, '?');
  return printable.length > length ? `${printable.slice(0, length)}…` : printable;
}
