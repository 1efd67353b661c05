import { type ExpressionBuilder, type Kysely, type Selectable, sql } from 'kysely';
import { JOB_MOVES, type JobError, type JobRecord, type JobTier, type NewJob } from '../../recorder/jobs/job.ts';
import type {
  ClaimedJob,
  ClaimRefusal,
  ClaimTerms,
  DueQuery,
  JobOutcome,
  JobProgress,
  JobStore,
} from '../../recorder/jobs/job-store.ts';
import type { JobDialect } from './job-dialect.ts';
import type { JobsTable, Tables } from './tables.ts';

type Where = ExpressionBuilder<Tables, 'jobs'>;
type Taken = Pick<Selectable<JobsTable>, 'id' | 'state' | 'attempts'>;

const ENDED = ['done', 'failed', 'cancelled', 'dead'] as const;
const TIER_RANK = sql<number>`case tier when 'high' then 0 when 'normal' then 1 else 2 end`;

/** Jobs as they are stored. */
export class JobRepository implements JobStore {
  readonly #db: Kysely<Tables>;
  readonly #sql: JobDialect;

  /** @param db borrowed */
  constructor(db: Kysely<Tables>, dialect: JobDialect) {
    this.#db = db;
    this.#sql = dialect;
  }

  async insert({
    id,
    kind,
    tier,
    owner,
    payload,
    idempotencyKey,
    notify,
  }: NewJob): Promise<{ job: JobRecord; created: boolean }> {
    const now = this.#sql.now();
    const made = await this.#db
      .insertInto('jobs')
      .values({
        id,
        kind,
        tier,
        owner,
        idempotency_key: idempotencyKey,
        payload: JSON.stringify(payload),
        state: 'queued',
        progress: 0,
        attempts: 0,
        cancel_requested: false,
        revision: 1,
        not_before: now,
        notify,
        notify_tries: 0,
        created_at: now,
      })
      .onConflict((conflict) => conflict.columns(['owner', 'idempotency_key']).doNothing())
      .returningAll()
      .executeTakeFirst();
    if (made) return { job: toRecord(made), created: true };
    const there = await this.#db
      .selectFrom('jobs')
      .selectAll()
      .where('owner', '=', owner)
      .where('idempotency_key', '=', idempotencyKey)
      .executeTakeFirstOrThrow();
    return { job: toRecord(there), created: false };
  }

  async get(id: string): Promise<JobRecord | null> {
    const row = await this.#db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? toRecord(row) : null;
  }

  async getMany(ids: readonly string[]): Promise<JobRecord[]> {
    if (ids.length === 0) return [];
    const rows = await this.#db.selectFrom('jobs').selectAll().where('id', 'in', ids).execute();
    return rows.map(toRecord);
  }

  async countQueued(): Promise<number> {
    const { count } = await this.#db
      .selectFrom('jobs')
      .select((jobs) => jobs.fn.countAll<string | number>().as('count'))
      .where('state', '=', 'queued')
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  async claimNext(tiers: readonly JobTier[], terms: ClaimTerms): Promise<ClaimedJob | null> {
    // Looked at first without a lock: workers ask often, and mostly in vain.
    if ((await this.#next(this.#db, tiers, terms)) === null) return null;
    return this.#db.transaction().execute(async (db) => {
      await this.#sql.serialise(db);
      const next = await this.#next(db, tiers, terms);
      return next === null ? null : this.#take(db, next, terms);
    });
  }

  async claim(id: string, terms: ClaimTerms): Promise<ClaimedJob | ClaimRefusal> {
    return this.#db.transaction().execute(async (db): Promise<ClaimedJob | ClaimRefusal> => {
      await this.#sql.serialise(db);
      const ready = await db
        .selectFrom('jobs')
        .select(['id', 'state', 'attempts', 'owner'])
        .where('id', '=', id)
        .where((where) => where.or([this.#waits(where), this.#abandoned(where)]))
        .executeTakeFirst();
      if (!ready)
        return refusalOf(await db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst(), terms);
      const full = await this.#fullOwners(db, terms.perOwner).where('owner', '=', ready.owner).executeTakeFirst();
      return full ? { refused: 'owner-full' } : this.#take(db, ready, terms);
    });
  }

  async renew(
    id: string,
    { lease, leaseMs }: Pick<ClaimTerms, 'lease' | 'leaseMs'>,
    at: JobProgress | null,
  ): Promise<JobRecord | null> {
    const row = await this.#db
      .updateTable('jobs')
      .set((job) => ({
        lease_until: this.#sql.now(leaseMs),
        ...(at && { stage: at.stage, progress: at.progress, revision: sql<number>`${job.ref('revision')} + 1` }),
      }))
      .where('id', '=', id)
      .where('lease', '=', lease)
      .returningAll()
      .executeTakeFirst();
    return row ? toRecord(row) : null;
  }

  async settle(id: string, lease: string, outcome: JobOutcome): Promise<JobRecord | null> {
    const { state } = outcome;
    const counted = !('counted' in outcome) || outcome.counted;
    const error: JobError | null = 'error' in outcome ? outcome.error : null;
    const row = await this.#db
      .updateTable('jobs')
      .set((job) => ({
        state,
        lease: null,
        lease_until: null,
        error: error && JSON.stringify(error),
        revision: sql<number>`${job.ref('revision')} + 1`,
        ...(state === 'done' && { progress: 100 }),
        ...(counted ? {} : { attempts: sql<number>`${job.ref('attempts')} - 1` }),
        ...(state === 'queued' ? { not_before: this.#sql.now(outcome.delayMs) } : this.#ended()),
      }))
      .where('id', '=', id)
      .where('lease', '=', lease)
      // Whoever cancelled it was told that it will be.
      .$if(state !== 'cancelled', (query) => query.where('cancel_requested', '=', false))
      .returningAll()
      .executeTakeFirst();
    return row ? toRecord(row) : null;
  }

  async cancel(id: string): Promise<JobRecord | null> {
    const ended = await this.#db
      .updateTable('jobs')
      .set((job) => ({
        state: 'cancelled',
        cancel_requested: true,
        ...this.#ended(),
        revision: sql<number>`${job.ref('revision')} + 1`,
      }))
      .where('id', '=', id)
      .where('state', '=', 'queued')
      .returningAll()
      .executeTakeFirst();
    if (ended) return toRecord(ended);
    const asked = await this.#db
      .updateTable('jobs')
      .set((job) => ({ cancel_requested: true, revision: sql<number>`${job.ref('revision')} + 1` }))
      .where('id', '=', id)
      .where('state', '=', 'running')
      .where('cancel_requested', '=', false)
      .returningAll()
      .executeTakeFirst();
    return asked ? toRecord(asked) : this.get(id);
  }

  async redrive(id: string): Promise<JobRecord | null> {
    const row = await this.#db
      .updateTable('jobs')
      .set((job) => ({
        state: 'queued',
        stage: null,
        progress: 0,
        attempts: 0,
        error: null,
        not_before: this.#sql.now(),
        notify_at: null,
        started_at: null,
        finished_at: null,
        revision: sql<number>`${job.ref('revision')} + 1`,
      }))
      .where('id', '=', id)
      .where('state', '=', 'dead')
      .returningAll()
      .executeTakeFirst();
    return row ? toRecord(row) : null;
  }

  async listDead(limit: number): Promise<JobRecord[]> {
    const query = this.#db.selectFrom('jobs').selectAll().where('state', '=', 'dead').orderBy('finished_at', 'desc');
    return (await query.limit(limit).execute()).map(toRecord);
  }

  async due({ owner, perOwner, overdueMs, limit }: DueQuery): Promise<JobRecord[]> {
    const running = this.#db
      .selectFrom('jobs')
      .select((jobs) => ['owner as runner', jobs.fn.countAll<number>().as('count')])
      .where('state', '=', 'running')
      .where('lease_until', '>', this.#sql.now())
      .groupBy('owner')
      .as('running');
    const placed = this.#db
      .selectFrom('jobs')
      .selectAll()
      .select(sql<number>`row_number() over (partition by owner order by ${TIER_RANK}, not_before, id)`.as('place'))
      .where((where) => where.or([this.#waits(where, overdueMs), this.#abandoned(where, overdueMs)]))
      .$if(owner !== null, (query) => query.where('owner', '=', owner))
      .as('placed');
    const rows = await this.#db
      .selectFrom(placed)
      .leftJoin(running, 'running.runner', 'placed.owner')
      .selectAll('placed')
      .where(sql<boolean>`placed.place <= ${perOwner} - coalesce(running.count, 0)`)
      .orderBy('placed.not_before')
      .limit(limit)
      .execute();
    return rows.map(toRecord);
  }

  async sweep(endedForMs: number): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('jobs')
      .where('state', 'in', ENDED)
      .where('finished_at', '<=', this.#sql.now(-endedForMs))
      .executeTakeFirst();
    return Number(numDeletedRows);
  }

  /**
   * Takes on the telling of one job that ended; until it is told, somebody will again after `retryMs`.
   * @returns null where everything was told
   */
  async claimNotification(retryMs: (tries: number) => number): Promise<{ job: JobRecord; tries: number } | null> {
    const next = await this.#db
      .selectFrom('jobs')
      .select(['id', 'notify_tries'])
      .where('notify_at', '<=', this.#sql.now())
      .orderBy('notify_at')
      .limit(1)
      .executeTakeFirst();
    if (!next) return null;
    const tries = next.notify_tries + 1;
    const row = await this.#db
      .updateTable('jobs')
      .set({ notify_tries: tries, notify_at: this.#sql.now(retryMs(tries)) })
      .where('id', '=', next.id)
      // Of two who saw it, one.
      .where('notify_tries', '=', next.notify_tries)
      .where('notify_at', '<=', this.#sql.now())
      .returningAll()
      .executeTakeFirst();
    return row ? { job: toRecord(row), tries } : this.claimNotification(retryMs);
  }

  /** It was told, or is given up. */
  async notified(id: string, tries: number): Promise<void> {
    const done = this.#db.updateTable('jobs').set({ notify_at: null }).where('id', '=', id);
    await done.where('notify_tries', '=', tries).execute();
  }

  async #next(db: Kysely<Tables>, tiers: readonly JobTier[], { perOwner }: ClaimTerms): Promise<Taken | null> {
    const query = db
      .selectFrom('jobs')
      .select(['id', 'state', 'attempts'])
      .where('owner', 'not in', this.#fullOwners(db, perOwner))
      .limit(1);
    const lost = await query
      .where((where) => this.#abandoned(where))
      .orderBy('lease_until')
      .executeTakeFirst();
    if (lost) return lost;
    for (const tier of tiers) {
      const waiting = await query
        .where('tier', '=', tier)
        .where((where) => this.#waits(where))
        .orderBy('not_before')
        .orderBy('id')
        .executeTakeFirst();
      if (waiting) return waiting;
    }
    return null;
  }

  async #take(db: Kysely<Tables>, { id, state, attempts }: Taken, terms: ClaimTerms): Promise<ClaimedJob> {
    const row = await db
      .updateTable('jobs')
      .set((job) => ({
        state: 'running',
        stage: null,
        progress: 0,
        attempts: attempts + 1,
        error: null,
        lease: terms.lease,
        lease_until: this.#sql.now(terms.leaseMs),
        started_at: sql<Date>`coalesce(${job.ref('started_at')}, ${this.#sql.now()})`,
        revision: sql<number>`${job.ref('revision')} + 1`,
      }))
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return { job: toRecord(row), abandonedAttempt: state === 'running' ? attempts : null };
  }

  #ended() {
    const notifyAt = sql<Date | null>`case when notify then ${this.#sql.now()} end`;
    return { finished_at: this.#sql.now(), notify_at: notifyAt, notify_tries: 0 };
  }

  #waits(where: Where, forMs = 0) {
    return where.and([where('state', '=', 'queued'), where('not_before', '<=', this.#sql.now(-forMs))]);
  }

  #abandoned(where: Where, forMs = 0) {
    return where.and([where('state', '=', 'running'), where('lease_until', '<=', this.#sql.now(-forMs))]);
  }

  #fullOwners(db: Kysely<Tables>, perOwner: number) {
    return db
      .selectFrom('jobs')
      .select('owner')
      .where('state', '=', 'running')
      .where('lease_until', '>', this.#sql.now())
      .groupBy('owner')
      .having((having) => having.fn.countAll<number>(), '>=', perOwner);
  }
}

/** @param row undefined where there is none; else one that nobody may take on now */
function refusalOf(row: Selectable<JobsTable> | undefined, { leaseMs }: ClaimTerms): ClaimRefusal {
  if (!row || !JOB_MOVES[row.state].includes('cancelled')) return { refused: 'over' };
  const at = row.state === 'running' ? row.lease_until : row.not_before;
  const waitMs = (at?.getTime() ?? 0) - Date.now();
  return { refused: 'later', waitMs: row.state === 'running' ? Math.min(leaseMs, waitMs) : waitMs };
}

function toRecord(row: Selectable<JobsTable>): JobRecord {
  return Object.freeze({
    id: row.id,
    kind: row.kind,
    tier: row.tier,
    owner: row.owner,
    payload: Object.freeze(row.payload),
    state: row.state,
    stage: row.stage,
    progress: row.progress,
    attempts: row.attempts,
    error: row.error,
    cancelRequested: row.cancel_requested,
    revision: row.revision,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  });
}
