import { type Context, Hono } from 'hono';
import type { RequestIdVariables } from 'hono/request-id';
import type { Logger } from 'pino';
import { GatewayError } from '../errors.ts';
import type { Access } from '../live/access.ts';
import { type ComparedFace, comparedFace, comparedView, likeness } from './comparison.ts';
import { checkImage } from './image-check.ts';
import { type ImageFields, imagesOf, mediaTypeOf } from './image-form.ts';
import type { Intake } from './intake.ts';
import { type BodyLimits, readBody } from './read-body.ts';
import type { Still, StillAnswer, Stills } from './stills.ts';
import { type EmbedView, rounded } from './views.ts';

/** Pictures of one request: the contract's number for a batch, and so for the many of a comparison. */
const MAX_PICTURES = 32;

/** One picture of the largest size in base64. It is parsed on the thread that moves the packets of streams. */
const MAX_JSON_BYTES = 34_000_000;

export interface StillRoutesOptions {
  readonly stills: Stills;
  readonly intake: Intake;
  readonly access: Access;
  readonly limits: BodyLimits;
  readonly log: Logger;
}

type StillEnv = { Variables: RequestIdVariables };

/**
 * The contract's still images, to be mounted at `/v1/faces`. Pictures come as files of a form or as base64 in JSON, lists
 * of them as `images` or `images[]`, `b` or `b[]`. All need scope `operate`: embeddings are for nobody who may only watch.
 *
 * Of a picture with several faces `compare` takes one, and tells which: see `comparedFace`. `X-Cache` is `hit` where all
 * of an answer was known. Throws GatewayError alone.
 */
export function stillRoutes({ stills, intake, access, limits, log }: StillRoutesOptions): Hono<StillEnv> {
  const routes = new Hono<StillEnv>();

  routes.use(async (c, next) => {
    await access.requireScope(c, 'operate');
    await next();
    c.header('Cache-Control', 'no-store');
  });

  /** Reads the pictures of a request, and answers while there is room for it. */
  const withImages = async (c: Context<StillEnv>, answer: (images: ImageFields) => Promise<Response>) => {
    const admission = intake.enter();
    try {
      const { body, signal } = c.req.raw;
      const type = mediaTypeOf(c.req.header('content-type'));
      const maxBytes = type === 'application/json' ? Math.min(limits.maxBytes, MAX_JSON_BYTES) : limits.maxBytes;
      const length = c.req.header('content-length');
      const bytes = await readBody(body, length, admission, { ...limits, maxBytes }, signal);
      return await answer(imagesOf(bytes, c.req.header('content-type')));
    } finally {
      admission.leave();
    }
  };
  const question = <View extends object>(ask: (still: Still, c: Context) => Promise<StillAnswer<View>>) => {
    return (c: Context<StillEnv>) =>
      withImages(c, async (images) => {
        const { view, tookMs, isHit } = await ask(only(images, 'image'), c);
        markCache(c, [isHit]);
        return c.json({ ...view, tookMs: rounded(tookMs, 1) });
      });
  };

  routes.post(
    '/detect',
    question((still, c) => stills.detect(still, signalOf(c))),
  );
  routes.post(
    '/embed',
    question((still, c) => stills.embed(still, signalOf(c))),
  );
  routes.post(
    '/analyze',
    question((still, c) => stills.analyse(still, signalOf(c))),
  );

  routes.post('/detect-batch', (c) =>
    withImages(c, async (images) => {
      const results: object[] = [];
      const hits: boolean[] = [];
      for (const [index, still] of several(images, 'images').entries()) {
        try {
          const { view, tookMs, isHit } = await stills.detect(still, signalOf(c));
          results.push({ index, ...view, tookMs: rounded(tookMs, 1) });
          hits.push(isHit);
        } catch (error) {
          if (c.req.raw.signal.aborted) throw error;
          const { code, message, cause } = ownError(error);
          const requestId = c.get('requestId');
          if (code === 'internal') log.error({ requestId, index, err: cause }, 'a picture of a batch failed');
          results.push({ index, error: { code, message, requestId } });
        }
      }
      markCache(c, hits);
      return c.json({ results });
    }),
  );

  routes.post('/compare', (c) =>
    withImages(c, async (images) => {
      const isMatrix = c.req.query('matrix') === 'true';
      const asked = isMatrix ? several(images, 'images') : [only(images, 'a'), ...several(images, 'b')];
      for (const { bytes, name } of asked) checkImage(bytes, name);
      const answers: StillAnswer<EmbedView>[] = [];
      for (const still of asked) answers.push(await stills.embed(still, signalOf(c)));
      markCache(
        c,
        answers.map(({ isHit }) => isHit),
      );
      const faces = answers.map(({ view }, i) => comparedFace(view, asked[i]!.name));
      const { threshold, model } = answers[0]!.view;
      if (isMatrix) {
        const matrix = faces.map((row) => faces.map((column) => likeness(row, column)));
        return c.json({ matrix, threshold, model, images: faces.map(comparedView) });
      }
      const [a, ...others] = faces as [ComparedFace, ...ComparedFace[]];
      const similarity = others.map((b) => likeness(a, b));
      const same = similarity.map((value) => value >= threshold);
      return c.json({ similarity, same, threshold, model, a: comparedView(a), b: others.map(comparedView) });
    }),
  );

  return routes;
}

/** Work is stopped for a client that goes away. */
function signalOf(c: Context): { readonly signal: AbortSignal } {
  return { signal: c.req.raw.signal };
}

function markCache(c: Context, hits: readonly boolean[]): void {
  c.header('X-Cache', hits.length > 0 && hits.every(Boolean) ? 'hit' : 'miss');
}

/** @throws GatewayError 'bad-request' */
function only(images: ImageFields, field: string): Still {
  const [still, more] = images.get(field) ?? [];
  if (!still) throw new GatewayError('bad-request', `${field} is missing: a picture, as a file or in base64`);
  if (more) throw new GatewayError('bad-request', `${field}: send one picture`);
  return { ...still, name: field };
}

/** @throws GatewayError 'bad-request' */
function several(images: ImageFields, field: string): readonly Still[] {
  const stills = images.get(field) ?? [];
  if (stills.length === 0)
    throw new GatewayError('bad-request', `${field}[] is missing: pictures, as files or in base64`);
  if (stills.length > MAX_PICTURES) {
    throw new GatewayError('bad-request', `${field}[] holds ${stills.length} pictures; at most ${MAX_PICTURES}`);
  }
  return stills;
}

/** What is wrong with one picture of several. @throws what is not that one's own: others would fail alike */
function ownError(error: unknown): GatewayError {
  if (!(error instanceof GatewayError) || error.status >= 503) throw error;
  return error;
}
