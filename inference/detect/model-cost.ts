import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelKind } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';

/** What a model costs the process that uses it. */
export interface ModelCost {
  /** Memory that it adds once it has run, ONNX Runtime with it: PSS, else RSS where there is no /proc. */
  readonly memoryBytes: number;
  /** From the file's bytes until it can run. */
  readonly loadMs: number;
  /** One run on one thread, the median of a few: a detector's look at a 1280 × 720 picture, else one face. */
  readonly runMs: number;
}

export type ModelCostReply = { readonly cost: ModelCost } | { readonly failed: string };

const TIMEOUT_MS = 60_000;

/** What the process is told. */
export interface ModelCostRequest {
  readonly kind: ModelKind;
  readonly name: string;
  readonly models: ModelLocations;
}

/**
 * Loads a model that is on this machine in a process of its own, and measures.
 * @throws InferenceError 'model-unusable' | 'child-died'
 */
export async function measureModel(kind: ModelKind, name: string, models: ModelLocations): Promise<ModelCost> {
  const child = fork(join(import.meta.dirname, 'model-cost-process.ts'), {
    serialization: 'advanced',
    execArgv: [],
    env: { MALLOC_ARENA_MAX: '2' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const timeout = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  try {
    const reply = await new Promise<ModelCostReply>((resolve, reject) => {
      child.once('message', (message) => resolve(message as ModelCostReply));
      child.once('error', (cause) => reject(new InferenceError('child-died', cause.message, { cause })));
      child.once('close', (code, signal) =>
        reject(new InferenceError('child-died', `the process that loaded ${name} died (${signal ?? code})`)),
      );
      child.send({ kind, name, models } satisfies ModelCostRequest);
    });
    if ('cost' in reply) return reply.cost;
    throw new InferenceError('model-unusable', reply.failed);
  } finally {
    clearTimeout(timeout);
    child.kill('SIGKILL');
  }
}
