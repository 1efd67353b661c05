import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { parseKey } from './secrets/key-file.ts';

/** A whole number, written in digits alone. */
export const wholeNumber = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number')
  .transform(Number);

/** Made absolute. */
export const path = z.string().transform((text) => resolve(text));

export const port = wholeNumber.pipe(z.number().max(65_535, 'must be at most 65535'));

/** A whole number from `least` to `most`. */
export const count = (least: number, most: number) =>
  wholeNumber.pipe(z.number().min(least, `must be at least ${least}`).max(most, `must be at most ${most}`));

export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');

/** An origin as browsers write it: scheme, host and port only. Empty when the text is none. */
function originOf(text: string): string {
  const { protocol, origin } = URL.parse(text) ?? { protocol: '', origin: '' };
  return (protocol === 'http:' || protocol === 'https:') && origin === text.toLowerCase().replace(/\/$/, '')
    ? origin
    : '';
}

export const origins = z
  .string()
  .refine((text) => text === '*' || text.split(',').every((item) => originOf(item.trim()) !== ''), {
    error: 'must be * or a comma-separated list of origins such as https://example.com',
  })
  .transform((text): '*' | readonly string[] =>
    text === '*' ? text : Object.freeze(text.split(',').map((item) => originOf(item.trim()))),
  );

/** Without its closing slash. */
export const publicUrl = z
  .string()
  .refine((text) => {
    const url = URL.parse(text);
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false;
    return url.username === '' && url.password === '' && !/[?#]/.test(text);
  }, 'must be an http:// or https:// address without user, query and fragment')
  .transform((text) => new URL(text).href.replace(/\/+$/, ''));

/** An address or a host name (RFC 1123 §2.1), without a port. */
export const address = z
  .string()
  .refine(
    (text) =>
      isIP(text) !== 0 || /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(text),
    'must be an IP address or a host name',
  );

export const postgresUrl = z
  .string()
  .refine((text) => /^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? ''), 'must be a postgres:// address');

export const redisUrl = z
  .string()
  .refine((text) => /^rediss?:$/.test(URL.parse(text)?.protocol ?? ''), 'must be a redis:// or rediss:// address');

export const webhookUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.hash === '';
}, 'must be an http:// or https:// address without user and fragment');

/** Where an S3 API is spoken. */
export const s3Endpoint = z.string().refine((text) => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && !/[?#]/.test(text);
}, 'must be an http:// or https:// address without user, query and fragment');

export const encryptionKey = z
  .string()
  .refine((text) => parseKey(text) !== null, 'must be 32 bytes in base64, as openssl rand -base64 32 prints them')
  .transform((text) => parseKey(text));
