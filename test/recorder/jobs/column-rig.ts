import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import type { WorkerTerms } from '../../../recorder/jobs/job-worker.ts';
import { COLUMNS, type Column, ColumnServers } from './columns.ts';
import { JobNode, type NodeSettings, TEST_TERMS } from './job-node.ts';
import type { WorkerProcessSettings } from './worker-process.ts';

/** A worker in a process of its own, and what it and its like have written down. */
export interface ForkedWorker {
  readonly child: ChildProcess;
  /** `JOB ATTEMPT`, in the order in which it was said. */
  lines(said: 'begun' | 'ended' | 'done' | 'cleaned'): string[];
}

/** What a test of one column works with; all of it ends with the test. */
export class ColumnRig {
  servers!: ColumnServers;
  /** Of the nodes of this test, which share jobs. */
  settings!: NodeSettings;
  readonly #nodes: JobNode[] = [];
  readonly #children: ChildProcess[] = [];

  async open(terms: Partial<WorkerTerms> = {}): Promise<JobNode> {
    const node = await JobNode.open(this.settings, terms);
    this.#nodes.push(node);
    return node;
  }

  async fork(workMs: number, terms: Partial<WorkerTerms> = {}): Promise<ForkedWorker> {
    const journal = join(this.settings.dataDir, 'journal');
    writeFileSync(journal, '', { flag: 'a' });
    const given: WorkerProcessSettings = { ...this.settings, journal, workMs, terms: { ...TEST_TERMS, ...terms } };
    const child = fork(join(import.meta.dirname, 'worker-process.ts'), [JSON.stringify(given)]);
    this.#children.push(child);
    await once(child, 'message');
    const lines: ForkedWorker['lines'] = (said) =>
      readFileSync(journal, 'utf8')
        .split('\n')
        .map((line) => line.split(' '))
        .filter(([what]) => what === said)
        .map(([, job, attempt]) => `${job} ${attempt}`);
    return { child, lines };
  }

  async end(): Promise<void> {
    for (const child of this.#children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    await Promise.all(this.#nodes.splice(0).map((node) => node.close()));
  }
}

/** The same tests on every column of the design's table; where a server is missing they are skipped by name. */
export function describeColumns(what: string, tests: (rig: ColumnRig, column: Column) => void): void {
  for (const column of COLUMNS) {
    describe.skipIf(!column.possible)(`${what} on ${column.name}`, () => {
      const rig = new ColumnRig();
      beforeAll(async () => {
        rig.servers = await ColumnServers.start(column);
      });
      beforeEach(async () => {
        rig.settings = await rig.servers.settings();
      });
      afterEach(() => rig.end());
      afterAll(() => rig.servers?.stop());
      tests(rig, column);
    });
  }
}
