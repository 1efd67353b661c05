import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { ModelLocations } from '../../models/locations.ts';
import { InferenceError } from '../errors.ts';

/** What a detector costs the process that uses it. */
export interface ModelCost {
  /** Memory that it adds once it has looked at a picture, ONNX Runtime with it: PSS, else RSS where there is no /proc. */
  readonly memoryBytes: number;
  /** From the file's bytes to the first look that it could take. */
  readonly loadMs: number;
  /** One look at a 1280 × 720 picture, on one thread: the median of a few. */
  readonly lookMs: number;
}

export type ModelCostReply = { readonly cost: ModelCost } | { readonly failed: string };

const TIMEOUT_MS = 60_000;

/**
 * Loads a detector that is on this machine in a process of its own, and measures.
 * @throws InferenceError 'model-unusable' | 'child-died'
 */
export async function measureModel(name: string, models: ModelLocations): Promise<ModelCost> {
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
      child.send({ name, models });
    });
    if ('cost' in reply) return reply.cost;
    throw new InferenceError('model-unusable', reply.failed);
  } finally {
    clearTimeout(timeout);
    child.kill('SIGKILL');
  }
}
