import type { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import type { RequestIdVariables } from 'hono/request-id';
import type { Logger } from 'pino';
import type { LocalStore } from '../../recorder/store/local-store.ts';
import type { ObjectHead } from '../../recorder/store/object-store.ts';
import { dispositionOf } from '../../recorder/store/requests.ts';
import type { Grant } from '../../recorder/store/signed-path.ts';
import { GatewayError } from '../errors.ts';
import { parseRange } from './byte-range.ts';
import { objectErrorOf } from './object-errors.ts';
import { Slots } from './slots.ts';

export interface ObjectLimits {
  /** Objects that are sent, and received, at a time. */
  readonly reads: number;
  readonly writes: number;
  /** One that moves no byte for this long is given up. */
  readonly idleMs: number;
  /** So is an upload that has not ended by then. */
  readonly uploadMs: number;
}

export const OBJECT_LIMITS: ObjectLimits = { reads: 256, writes: 32, idleMs: 60_000, uploadMs: 6 * 3_600_000 };

export interface ObjectRoutesOptions {
  readonly store: Pick<LocalStore, 'verify' | 'head' | 'get' | 'putGranted'>;
  readonly limits?: ObjectLimits;
  readonly log: Logger;
}

/** What browsers may show: of these none runs a script. */
const SHOWN = /^(video\/mp4|video\/iso\.segment|audio\/mp4|image\/(jpeg|png|webp)|application\/vnd\.apple\.mpegurl)$/;

/** What was uploaded runs nothing, is stored by no cache, and its address is told to nobody. Comes before other headers. */
export const objectHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  c.header('Cache-Control', 'private, no-store');
  c.header('X-Content-Type-Options', 'nosniff');
  c.header('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; sandbox");
  c.header('Referrer-Policy', 'no-referrer');
};

/** Objects of the local store, to and from whoever holds an address that was signed for it. Lists nothing. */
export function objectRoutes({
  store,
  limits = OBJECT_LIMITS,
  log,
}: ObjectRoutesOptions): Hono<{ Variables: RequestIdVariables }> {
  const routes = new Hono<{ Variables: RequestIdVariables }>();
  const [reads, writes] = [new Slots(limits.reads), new Slots(limits.writes)];

  // HEAD comes here as well.
  routes.get('/*', async (c) => {
    const grant = granted(c, store);
    const head = await store.head(grant.key).catch(rethrow);
    if (!head) throw new GatewayError('not-found', 'there is no such object');
    describe(c, grant, head);
    if (isKnown(c.req.header('if-none-match'), head.etag)) return c.body(null, 304);
    const condition = c.req.header('if-range');
    const range = parseRange(condition && condition !== head.etag ? undefined : c.req.header('range'), head.size);
    if (range === 'unsatisfiable') {
      c.header('Content-Range', `bytes */${head.size}`);
      return c.body(null, 416);
    }
    if (c.req.method === 'HEAD') {
      c.header('Content-Length', `${head.size}`);
      return c.body(null);
    }
    const release = reads.take();
    try {
      const read = await store.get(grant.key, range ? { range } : {});
      read.stream.once('close', release);
      // It may have been replaced meanwhile.
      describe(c, grant, read.head);
      c.header('Content-Length', `${read.end - read.start + 1}`);
      if (range) c.header('Content-Range', `bytes ${read.start}-${read.end}/${read.head.size}`);
      const fail = (cause?: unknown) => {
        if (cause !== undefined) log.error({ requestId: c.get('requestId'), err: cause }, 'object could not be read');
        // The adapter would write an error of the stream's into the answer, and to the console.
        (c.env as Partial<HttpBindings> | undefined)?.outgoing?.destroy();
      };
      return c.body(sent(read.stream, limits.idleMs, fail) as globalThis.ReadableStream, range ? 206 : 200);
    } catch (error) {
      release();
      throw objectErrorOf(error);
    }
  });

  routes.put('/*', async (c) => {
    const grant = granted(c, store);
    const { size = 0, type } = grant;
    if (type !== undefined && c.req.header('content-type') !== type) {
      throw new GatewayError('forbidden', `this address is for an upload with Content-Type: ${type}`);
    }
    const declared = Number(c.req.header('content-length') ?? size);
    if (declared > size) throw new GatewayError('upload-too-large', `this address is for ${size} bytes`);
    if (declared !== size) throw new GatewayError('upload-incomplete', `this address is for ${size} bytes`);
    const release = writes.take();
    const idle = new AbortController();
    const timer = setTimeout(() => idle.abort(), limits.idleMs);
    const ends = [idle.signal, c.req.raw.signal, AbortSignal.timeout(limits.uploadMs)];
    const signal = AbortSignal.any(ends);
    try {
      const etag = await store.putGranted(grant, moving(c.req.raw.body, timer), signal);
      return c.body(null, 200, { ETag: etag });
    } catch (error) {
      const stopped = new GatewayError('upload-incomplete', 'the upload stopped before its end', { cause: error });
      throw signal.aborted || isBroken(error) ? stopped : objectErrorOf(error);
    } finally {
      clearTimeout(timer);
      release();
    }
  });

  return routes;
}

/** @throws GatewayError 'forbidden', which does not tell a forged address from one that has expired */
function granted(c: Context, store: ObjectRoutesOptions['store']): Grant {
  const { pathname, search } = new URL(c.req.url);
  const grant = store.verify(c.req.method, pathname.replace(/^\/objects\//, ''), search.slice(1));
  if (!grant) throw new GatewayError('forbidden', 'this address has expired or was not signed by this server');
  return grant;
}

function describe(c: Context, { filename }: Grant, { contentType, etag, modifiedAt }: ObjectHead): void {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase();
  c.header('Content-Type', contentType);
  c.header('Content-Disposition', dispositionOf(SHOWN.test(type) ? filename : (filename ?? 'object')));
  c.header('ETag', etag);
  c.header('Last-Modified', modifiedAt.toUTCString());
  c.header('Accept-Ranges', 'bytes');
}

/** RFC 9110 §13.1.2, whose comparison is the weak one. */
function isKnown(header: string | undefined, etag: string): boolean {
  const tags = header?.split(',') ?? [];
  return tags.some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, '')));
}

/**
 * An object on its way to a client that may stop taking it. Owns `stream`.
 * @param fail ends the connection, so that what came is not taken for whole; told why where that is our fault
 */
function sent(stream: Readable, idleMs: number, fail: (cause?: unknown) => void): ReadableStream<Uint8Array> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const end = (cause?: unknown) => {
    clearTimeout(timer);
    stream.destroy();
    fail(cause);
  };
  const timer = setTimeout(end, idleMs);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        timer.refresh();
        try {
          const { done, value } = await chunks.next();
          if (!done) return controller.enqueue(value);
          clearTimeout(timer);
          controller.close();
        } catch (error) {
          end(error);
        }
      },
      cancel() {
        clearTimeout(timer);
        stream.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

/** The body of an upload; each chunk of it puts off the end. */
async function* moving(body: globalThis.ReadableStream<Uint8Array> | null, timer: NodeJS.Timeout) {
  if (!body) return;
  for await (const chunk of body) {
    timer.refresh();
    yield chunk;
  }
}

/** Of the client's connection, and not of our disk. */
function isBroken(error: unknown): boolean {
  const { code, name } = error as NodeJS.ErrnoException;
  return name === 'AbortError' || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

function rethrow(error: unknown): never {
  throw objectErrorOf(error);
}
