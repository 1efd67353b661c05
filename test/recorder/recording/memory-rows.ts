import type {
  Recording,
  RecordingChanges,
  RecordingRows,
  StoredSegment,
} from '../../../recorder/recording/recording.ts';
import { MOVES } from '../../../recorder/recording/recording.ts';

/** Recordings' rows in memory; can be away. Refuses moves between states that there are not. */
export class MemoryRows implements RecordingRows {
  readonly recordings = new Map<string, Recording>();
  readonly stored = new Map<string, StoredSegment[]>();
  isAway = false;

  get only(): Recording {
    if (this.recordings.size !== 1) throw new Error(`there are ${this.recordings.size} recordings`);
    return [...this.recordings.values()][0]!;
  }

  async create({ id, stream, startedAt }: Pick<Recording, 'id' | 'stream' | 'startedAt'>): Promise<void> {
    this.#demand();
    if (this.recordings.has(id)) return;
    const files = { mp4: false, poster: false, timeline: false };
    this.stored.set(id, []);
    this.recordings.set(id, {
      ...{ id, stream, startedAt, files, state: 'recording', reason: null, endedAt: null, durationMs: 0 },
    });
  }

  async addSegment(id: string, segment: StoredSegment): Promise<void> {
    this.#demand();
    const stored = this.stored.get(id)!;
    if (stored.some(({ number }) => number === segment.number)) return;
    stored.push(segment);
    const recording = this.recordings.get(id)!;
    this.recordings.set(id, { ...recording, durationMs: recording.durationMs + segment.durationMs });
  }

  async segments(id: string): Promise<readonly StoredSegment[]> {
    this.#demand();
    return this.stored.get(id) ?? [];
  }

  async get(id: string): Promise<Recording | null> {
    this.#demand();
    return this.recordings.get(id) ?? null;
  }

  async update(id: string, changes: RecordingChanges): Promise<void> {
    this.#demand();
    const before = this.recordings.get(id)!;
    const { state = before.state } = changes;
    if (state !== before.state && !MOVES[before.state].includes(state)) {
      throw new Error(`a recording that is ${before.state} can't become ${state}`);
    }
    this.recordings.set(id, { ...before, ...changes });
  }

  async remove(id: string): Promise<void> {
    this.#demand();
    this.recordings.delete(id);
    this.stored.delete(id);
  }

  #demand(): void {
    if (this.isAway) throw new Error('the database is away');
  }
}
