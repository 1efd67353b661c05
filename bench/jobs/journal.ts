/** One run of a job's handler, as its process wrote it down. */
export interface Run {
  readonly job: string;
  readonly pid: number;
  readonly beganAtMs: number;
  /** When it was over: its handler ended, or its process was killed. */
  readonly endedAtMs: number;
  /** Whether it had its effect. */
  readonly done: boolean;
}

/**
 * @param text lines `WHAT JOB ATTEMPT PID MS`
 * @param killedAtMs by process id
 */
export function readRuns(text: string, killedAtMs: ReadonlyMap<number, number>): Run[] {
  const open = new Map<
    string,
    { job: string; pid: number; beganAtMs: number; endedAtMs: number | null; done: boolean }
  >();
  for (const line of text.split('\n')) {
    const [what, job = '', attempt, pid, atMs] = line.split(' ');
    const key = `${job} ${attempt} ${pid}`;
    const run = open.get(key);
    if (what === 'begun') {
      open.set(key, { job, pid: Number(pid), beganAtMs: Number(atMs), endedAtMs: null, done: false });
    } else if (run && what === 'ended') run.endedAtMs = Number(atMs);
    else if (run && what === 'done') run.done = true;
  }
  return [...open.values()].map((run) => {
    const endedAtMs = run.endedAtMs ?? killedAtMs.get(run.pid);
    if (endedAtMs === undefined) throw new Error(`a run of ${run.job} has no end`);
    return { ...run, endedAtMs };
  });
}

/** Runs of one job that overlapped in time with another run of it. */
export function overlaps(runs: readonly Run[]): number {
  let count = 0;
  for (const ofJob of Map.groupBy(runs, ({ job }) => job).values()) {
    const inOrder = ofJob.toSorted((a, b) => a.beganAtMs - b.beganAtMs);
    for (const [i, run] of inOrder.entries()) if (i > 0 && run.beganAtMs < inOrder[i - 1]!.endedAtMs) count++;
  }
  return count;
}

/** Most runs at a time among jobs of one owner. */
export function mostAtATime(runs: readonly Run[], ownerOf: (job: string) => string): number {
  let most = 0;
  for (const ofOwner of Map.groupBy(runs, ({ job }) => ownerOf(job)).values()) {
    // At the same moment an end comes before a beginning.
    const steps = ofOwner.flatMap((run): [number, number][] => [
      [run.beganAtMs, 1],
      [run.endedAtMs, -1],
    ]);
    let now = 0;
    for (const [, step] of steps.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
      now += step;
      most = Math.max(most, now);
    }
  }
  return most;
}
