import { Log } from 'node-av';
import { AV_LOG_QUIET } from 'node-av/constants';
import type { PartOptions } from './part-options.ts';
import { PARTS } from './parts.ts';

// One part in a process of its own, so that what one has compiled and kept does not weigh on the next.
Log.setLevel(AV_LOG_QUIET);
// What a part has started ends with its process, by the `exit` event.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1));
process.once('disconnect', () => process.exit(1));

function answer(message: object, code: number): void {
  process.send!(message, undefined, {}, () => process.exit(code));
}

process.once('message', async ({ part, options }: { part: string; options: PartOptions }) => {
  try {
    answer({ result: await PARTS[part]!(options) }, 0);
  } catch (error) {
    answer({ error: (error as Error).stack ?? String(error) }, 1);
  }
});
