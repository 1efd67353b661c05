import type { PartResult } from './figure.ts';
import type { PartOptions } from './part-options.ts';

/** The bench's parts in the order in which they run; each is loaded when it is its turn. */
export const PARTS: Readonly<Record<string, (options: PartOptions) => Promise<PartResult>>> = {
  latency: async (options) => (await import('./latency.ts')).measureLatency(options),
  glass: async (options) => (await import('./glass.ts')).measureGlass(options),
  join: async (options) => (await import('./join.ts')).measureJoin(options),
  leaks: async (options) => (await import('./live-leaks.ts')).measureLeaksLive(options),
  memory: async (options) => (await import('./memory.ts')).measureMemory(options),
  streams: async (options) => (await import('./streams.ts')).measureStreams(options),
};
