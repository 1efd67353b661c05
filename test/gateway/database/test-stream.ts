import { DEFAULT_STREAM_POLICY } from '../../../gateway/live/stream-policy.ts';
import type { StreamRecord } from '../../../gateway/live/streams.ts';
import { hashKey } from '../../../gateway/stream-keys.ts';

/** A stream to store, with everything at its default. */
export function testStream(id: string, settings: Partial<StreamRecord> = {}): StreamRecord {
  return {
    id,
    keyHash: hashKey(`sk_${id}`),
    policy: DEFAULT_STREAM_POLICY,
    record: false,
    hls: false,
    source: null,
    push: [],
    createdAt: new Date('2026-01-02T03:04:05.678Z'),
    ...settings,
  };
}
