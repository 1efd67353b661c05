import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ObjectSweeper } from '../../../gateway/objects/object-sweeper.ts';
import { RecorderError } from '../../../recorder/errors.ts';

const HOUR_MS = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('what nobody will finish is erased at the start and each hour, also after a store that was away', async () => {
  const sweep = vi.fn(async (_before: Date) => 0);
  sweep.mockRejectedValueOnce(new RecorderError('store-unreachable', 'away'));
  const lines: string[] = [];
  const sweeper = new ObjectSweeper({ sweep }, pino({ level: 'info' }, { write: (line: string) => lines.push(line) }));
  await vi.advanceTimersByTimeAsync(0);
  expect(lines.join()).toMatch(/could not be swept/);
  sweep.mockResolvedValueOnce(3);
  await vi.advanceTimersByTimeAsync(HOUR_MS);
  expect(lines.join()).toMatch(/"erased":3/);
  expect(sweep.mock.calls.map(([before]) => Date.now() - before.getTime())).toEqual([49 * HOUR_MS, 48 * HOUR_MS]);
  await sweeper.close();
  await vi.advanceTimersByTimeAsync(3 * HOUR_MS);
  expect(sweep).toHaveBeenCalledTimes(2);
});

test('the end waits for what is being erased', async () => {
  const erasing = Promise.withResolvers<number>();
  const sweeper = new ObjectSweeper({ sweep: () => erasing.promise }, pino({ level: 'silent' }));
  let isClosed = false;
  const closed = sweeper.close().then(() => {
    isClosed = true;
  });
  await vi.advanceTimersByTimeAsync(1000);
  expect(isClosed).toBe(false);
  erasing.resolve(0);
  await closed;
});
