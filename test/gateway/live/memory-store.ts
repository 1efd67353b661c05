import { GatewayError } from '../../../gateway/errors.ts';
import type { PlayTokenStore } from '../../../gateway/live/play-tokens.ts';
import type { StreamRecord, StreamStore } from '../../../gateway/live/streams.ts';

/** A turn of the event loop passes, as with a real database. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

export class MemoryStreamStore implements StreamStore {
  readonly rows = new Map<string, StreamRecord>();
  /** Thrown by the next write. */
  failure: Error | null = null;
  /** Writes that have begun. */
  writes = 0;
  /** A write waits for this. */
  gate: Promise<void> = Promise.resolve();

  async create(record: StreamRecord): Promise<void> {
    await this.#write();
    if (this.rows.has(record.id)) throw new GatewayError('stream-exists', 'the row is there');
    this.rows.set(record.id, record);
  }

  async list(): Promise<StreamRecord[]> {
    await turn();
    return [...this.rows.values()];
  }

  async update(id: string, changes: Partial<Pick<StreamRecord, 'policy' | 'record' | 'push'>>): Promise<void> {
    await this.#write();
    this.rows.set(id, { ...this.rows.get(id)!, ...changes });
  }

  async setKeyHash(id: string, keyHash: string): Promise<void> {
    await this.#write();
    this.rows.set(id, { ...this.rows.get(id)!, keyHash });
  }

  async remove(id: string): Promise<void> {
    await this.#write();
    this.rows.delete(id);
  }

  async #write(): Promise<void> {
    this.writes++;
    await turn();
    await this.gate;
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
  }
}

export class MemoryPlayTokenStore implements PlayTokenStore {
  readonly rows = new Map<string, { readonly streamId: string; readonly expiresAt: Date }>();

  async add({ hash, ...row }: Parameters<PlayTokenStore['add']>[0]): Promise<void> {
    this.rows.set(hash, row);
  }

  async streamOf(hash: string): Promise<string | null> {
    const row = this.rows.get(hash);
    return row && row.expiresAt > new Date() ? row.streamId : null;
  }
}
