import { Hono } from 'hono';
import type { Access } from '../live/access.ts';
import { page, parse } from '../live/schemas.ts';
import { Intake } from '../stills/intake.ts';
import { type BodyLimits, readBody } from '../stills/read-body.ts';
import { toStillError } from '../stills/still-errors.ts';
import { rounded } from '../stills/views.ts';
import { readEnrolmentForm } from './enrolment-form.ts';
import type { Identities, Identity } from './identities.ts';

/** Twenty photos as phones take them. */
const BODY_LIMITS: BodyLimits = { maxBytes: 64_000_000, idleMs: 10_000, totalMs: 120_000 };
/** Enrolments at a time, and what they may hold in memory together. */
const INTAKE = { maxRequests: 4, maxBytes: 192_000_000 };

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
  const intake = new Intake(INTAKE);

  routes.onError((error) => {
    throw toStillError(error, 'images[]');
  });
  routes.use(async (c, next) => {
    await access.requireScope(c, 'operate');
    await next();
    c.header('Cache-Control', 'no-store');
  });

  routes.post('/', async (c) => {
    const admission = intake.enter();
    try {
      const { body, signal } = c.req.raw;
      const form = await readBody(body, c.req.header('content-length'), admission, limits, signal);
      const identity = await identities.enrol(readEnrolmentForm(form, c.req.header('content-type')), signal);
      // Whoever gave up while it was stored never learns the id, so nobody else could erase it.
      if (signal.aborted) await identities.remove(identity.id);
      return c.json(identityView(identity), 201, { Location: `/v1/identities/${identity.id}` });
    } finally {
      admission.leave();
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
  const images = qualities.map((quality, index) => ({ index, quality: rounded(quality, 3), accepted: true }));
  return { id, name, images, model, usable, createdAt: createdAt.toISOString() };
}
