import { type Context, Hono } from 'hono';
import { GatewayError } from '../errors.ts';
import type { Access } from '../live/access.ts';
import { page, parse } from '../live/schemas.ts';
import { readEnrolmentForm } from './enrolment-form.ts';
import type { Identities, Identity } from './identities.ts';
import { type BodyLimits, readBody } from './read-body.ts';

/** Twenty photos as phones take them. */
const BODY_LIMITS: BodyLimits = { maxBytes: 64_000_000, idleMs: 10_000, totalMs: 120_000 };
/** Enrolments at a time: each may hold a body in memory. */
const MAX_AT_ONCE = 3;

export interface IdentityRoutesOptions {
  readonly identities: Identities;
  readonly access: Access;
  readonly limits?: BodyLimits;
}

/**
 * The contract's Identities, to be mounted at `/v1/identities`, and `GET …/{id}/thumbnail`. A 422 names the photos that
 * can't be used in `details`, beside `error` and in it alike. Throws GatewayError alone.
 */
export function identityRoutes({ identities, access, limits = BODY_LIMITS }: IdentityRoutesOptions): Hono {
  const routes = new Hono();
  let enrolling = 0;

  routes.use(async (c, next) => {
    await access.requireScope(c, 'operate');
    await next();
    c.header('Cache-Control', 'no-store');
  });

  routes.post('/', async (c) => {
    if (enrolling >= MAX_AT_ONCE) {
      throw new GatewayError('too-many', 'other people are being enrolled; try again', { retryAfterSeconds: 2 });
    }
    enrolling++;
    try {
      const { raw } = c.req;
      const body = await readBody(raw.body, declaredBytes(c), limits);
      const identity = await identities.enrol(readEnrolmentForm(body, c.req.header('content-type')), raw.signal);
      // Whoever gave up while it was stored never learns the id, so nobody else could erase it.
      if (raw.signal.aborted) await identities.remove(identity.id);
      return c.json(identityView(identity), 201, { Location: `/v1/identities/${identity.id}` });
    } finally {
      enrolling--;
    }
  });

  routes.get('/', (c) => {
    const { limit, cursor } = parse(page, c.req.query());
    const { entries, next } = identities.list(limit, cursor);
    return c.json({ items: entries.map(identityView), next });
  });

  routes.get('/:id', (c) => c.json(identityView(identities.get(c.req.param('id')))));

  routes.delete('/:id', async (c) => {
    await identities.remove(c.req.param('id'));
    return c.body(null, 204);
  });

  routes.get('/:id/thumbnail', async (c) => {
    const jpeg = await identities.thumbnail(c.req.param('id'));
    return c.body(Uint8Array.from(jpeg), 200, { 'Content-Type': 'image/jpeg' });
  });

  return routes;
}

/** The contract's identity; `usable` says whether the recogniser in use is the one that it was enrolled with. */
function identityView({ id, name, qualities, model, usable, createdAt }: Identity) {
  const images = qualities.map((quality, index) => ({ index, quality, accepted: true }));
  return { id, name, images, model, usable, createdAt: createdAt.toISOString() };
}

function declaredBytes(c: Context): number | null {
  const declared = c.req.header('content-length');
  return declared === undefined ? null : Number(declared);
}
