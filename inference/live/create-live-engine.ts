import { EngineChild } from './engine-child.ts';
import type { LiveEnginePool } from './engine-pool.ts';
import { ForkedLiveEngine } from './forked-live-engine.ts';
import type { LiveEngine, LiveEngineHooks, LiveEngineOptions } from './live-engine.ts';

/**
 * Starts an engine; resolves when it takes frames. Until then no hook is called.
 * @param pool where a process may stand ready, for the same models; without it one is started
 * @throws InferenceError where none could be started in time
 */
export async function createLiveEngine(
  options: LiveEngineOptions,
  hooks: LiveEngineHooks,
  pool?: LiveEnginePool,
): Promise<LiveEngine> {
  const { models, ...start } = options;
  const child = await (pool?.take() ?? EngineChild.prepare(models));
  try {
    await child.start(start);
  } catch (error) {
    await child.kill();
    throw error;
  } finally {
    pool?.refill();
  }
  return new ForkedLiveEngine(child, hooks);
}
