import { cpus } from 'node:os';
import { forMs } from './stream-api.ts';

const LOOK_MS = 3000;

/** How busy all cores are before a part begins, 0..1: what others do to its figures. */
export async function busyPart(): Promise<number> {
  const before = times();
  await forMs(LOOK_MS);
  const after = times();
  return 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all);
}

function times(): { idle: number; all: number } {
  const all = cpus().map((cpu) => cpu.times);
  const sum = (value: (one: (typeof all)[number]) => number) => all.reduce((total, one) => total + value(one), 0);
  return { idle: sum((one) => one.idle), all: sum((one) => Object.values(one).reduce((a, b) => a + b, 0)) };
}
