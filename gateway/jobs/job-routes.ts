import { type Context, Hono } from 'hono';
import { z } from 'zod';
import type { JobQueue } from '../../recorder/jobs/job-queue.ts';
import { GatewayError } from '../errors.ts';
import type { Access } from '../live/access.ts';
import { parse } from '../live/schemas.ts';
import { toJobError } from './job-errors.ts';
import { jobView } from './job-view.ts';

export interface JobRoutesOptions {
  readonly jobs: Pick<JobQueue, 'get' | 'listDead' | 'redrive'>;
  readonly access: Access;
}

const MAX_LISTED = 100;
const ID = /^[a-z0-9-]{1,64}$/;

/** The only list there is: a job that is not dead is found by what it works on. */
const deadList = z.object({ state: z.literal('dead', 'must be dead') });

/** The contract's jobs, to be mounted at `/v1/jobs`; and what dead ones need: their list, and a way to drive them again. */
export function jobRoutes({ jobs, access }: JobRoutesOptions): Hono {
  const routes = new Hono();

  routes.onError((error) => {
    throw toJobError(error);
  });
  routes.use(async (c, next) => {
    await access.requireScope(c, 'operate');
    await next();
    c.header('Cache-Control', 'no-store');
  });

  routes.get('/', async (c) => {
    parse(deadList, c.req.query());
    return c.json({ items: (await jobs.listDead(MAX_LISTED)).map(jobView), next: null });
  });

  routes.get('/:id', async (c) => {
    const job = await jobs.get(idOf(c));
    if (!job) throw new GatewayError('job-not-found', 'there is no such job');
    return c.json(jobView(job));
  });

  routes.post('/:id/redrive', async (c) => {
    await access.requireScope(c, 'admin');
    return c.json(jobView(await jobs.redrive(idOf(c))), 202);
  });

  return routes;
}

/** @throws GatewayError 'job-not-found' for what can't be an id */
function idOf(c: Context): string {
  const id = c.req.param('id')?.toLowerCase() ?? '';
  if (!ID.test(id)) throw new GatewayError('job-not-found', 'there is no such job');
  return id;
}
