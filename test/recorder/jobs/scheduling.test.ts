import { expect, test, vi } from 'vitest';
import { backoffMs } from '../../../recorder/jobs/backoff.ts';
import { JOB_MOVES, JOB_STATES, type JobTier } from '../../../recorder/jobs/job.ts';
import { TIER_WEIGHTS, TierTurns } from '../../../recorder/jobs/tier-turns.ts';
import { WakeUp } from '../../../recorder/jobs/wake-up.ts';

const never = new AbortController().signal;

test('while all tiers have jobs, each has its share of every round', () => {
  const turns = new TierTurns();
  for (let round = 0; round < 3; round++) {
    const first = Array.from({ length: 10 }, () => turns.next()[0]!);
    for (const tier of ['high', 'normal', 'low'] as const) {
      expect(first.filter((one) => one === tier)).toHaveLength(TIER_WEIGHTS[tier]);
    }
  }
});

test('a tier that was empty for long is owed nothing for it: the others keep their turns', () => {
  const turns = new TierTurns();
  const serve = (full: readonly JobTier[]) => turns.next().find((tier) => full.includes(tier));
  for (let i = 0; i < 1_000; i++) serve(['low']);
  const served = Array.from({ length: 20 }, () => serve(['high', 'normal', 'low']));
  expect(served.filter((tier) => tier === 'low')).toHaveLength(2);
  expect(served.filter((tier) => tier === 'high')).toHaveLength(12);
});

test('the wait after a failure doubles up to its cap, and half of it is left to chance', () => {
  const backoff = { baseMs: 100, capMs: 1_000 };
  expect([1, 2, 3, 4, 5, 60].map((tries) => backoffMs(backoff, tries, () => 1))).toEqual([
    100, 200, 400, 800, 1000, 1000,
  ]);
  expect([1, 2, 60].map((tries) => backoffMs(backoff, tries, () => 0))).toEqual([50, 100, 500]);
});

test('who waits is woken by a call, by its limit and by its end; a call that nobody heard is kept once', async () => {
  const wakeUp = new WakeUp();
  const stop = new AbortController();
  const woken = vi.fn();
  void wakeUp.wait(60_000, never).then(woken);
  void wakeUp.wait(60_000, stop.signal).then(woken);
  wakeUp.call();
  await vi.waitFor(() => expect(woken).toHaveBeenCalledTimes(2));
  wakeUp.call();
  wakeUp.call();
  await wakeUp.wait(60_000, never);
  const ended = wakeUp.wait(60_000, stop.signal);
  stop.abort();
  await ended;
  const begunMs = performance.now();
  await wakeUp.wait(20, never);
  expect(performance.now() - begunMs).toBeGreaterThan(15);
});

test('what has ended never moves again, but a dead job that is driven again', () => {
  const moving = JOB_STATES.filter((state) => JOB_MOVES[state].length > 0);
  expect(moving).toEqual(['queued', 'running', 'dead']);
  expect(JOB_MOVES.dead).toEqual(['queued']);
});
