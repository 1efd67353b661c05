import type { Kysely, Selectable } from 'kysely';
import { GatewayError } from '../errors.ts';
import type { StreamRecord, StreamStore } from '../live/streams.ts';
import type { StreamsTable, Tables } from './tables.ts';

export type StreamChange = Partial<Pick<StreamRecord, 'policy' | 'record' | 'push'>>;

/** Streams as they are stored: their addresses whole, of their keys the hash alone. */
export class StreamRepository implements StreamStore {
  readonly #db: Kysely<Tables>;

  /** @param db borrowed */
  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /** @throws GatewayError 'stream-exists', also when another process was first */
  async create(stream: StreamRecord): Promise<void> {
    const made = await this.#db
      .insertInto('streams')
      .values({
        id: stream.id,
        key_hash: stream.keyHash,
        policy: JSON.stringify(stream.policy),
        record: stream.record,
        hls: stream.hls,
        source: stream.source,
        push: JSON.stringify(stream.push),
        created_at: stream.createdAt,
        updated_at: stream.createdAt,
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (!made) throw new GatewayError('stream-exists', `there is a stream ${stream.id} already`);
  }

  /** @returns null where there is none */
  async get(id: string): Promise<StreamRecord | null> {
    const row = await this.#db.selectFrom('streams').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? toRecord(row) : null;
  }

  /** All of them, in the order in which they were made. */
  async list(): Promise<StreamRecord[]> {
    const rows = await this.#db.selectFrom('streams').selectAll().orderBy('created_at').orderBy('id').execute();
    return rows.map(toRecord);
  }

  /** @returns false where there is no such stream */
  async update(id: string, { policy, record, push }: StreamChange): Promise<boolean> {
    return this.#set(id, {
      ...(policy && { policy: JSON.stringify(policy) }),
      ...(record !== undefined && { record }),
      ...(push && { push: JSON.stringify(push) }),
    });
  }

  /** @returns false where there is no such stream */
  async setKeyHash(id: string, keyHash: string): Promise<boolean> {
    return this.#set(id, { key_hash: keyHash });
  }

  /** Its play tokens go with it. @returns false where there is no such stream */
  async remove(id: string): Promise<boolean> {
    const { numDeletedRows } = await this.#db.deleteFrom('streams').where('id', '=', id).executeTakeFirst();
    return numDeletedRows > 0n;
  }

  async #set(id: string, values: { policy?: string; record?: boolean; push?: string; key_hash?: string }) {
    const update = this.#db.updateTable('streams').set({ ...values, updated_at: new Date() });
    const { numUpdatedRows } = await update.where('id', '=', id).executeTakeFirst();
    return numUpdatedRows > 0n;
  }
}

function toRecord(row: Selectable<StreamsTable>): StreamRecord {
  return Object.freeze({
    id: row.id,
    keyHash: row.key_hash,
    policy: Object.freeze(row.policy),
    record: row.record,
    hls: row.hls,
    source: row.source,
    push: Object.freeze(row.push),
    createdAt: row.created_at,
  });
}
