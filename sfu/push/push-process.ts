import { AV_LOG_QUIET, Log } from 'node-av';
import { FlvTarget } from './flv-target.ts';
import type { PushInput, PushMessage, PushOrder } from './push-messages.ts';

// The entry point of a process that pushes to one target: an order comes in, and then media, which the parent bounds.
process.once('message', (order: PushOrder) => {
  // Its messages show URLs.
  Log.setLevel(AV_LOG_QUIET);
  process.once('disconnect', () => process.exit(1));
  // What the terminal sends to the whole group is the parent's to answer.
  process.on('SIGINT', () => undefined);
  let target: FlvTarget | null = null;
  let tail = Promise.resolve();
  const take = async (input: PushInput): Promise<void> => {
    if (input.type === 'finish') {
      await target?.finish();
      process.exit(0);
    }
    if (input.type === 'video') target ??= await FlvTarget.open(order, input.data);
    await target?.write(input);
    tell({ type: 'done' });
  };
  process.on('message', (input: PushInput) => {
    tail = tail.then(() => take(input)).catch((error: Error) => tell({ type: 'failed', message: error.message }));
  });
});

function tell(message: PushMessage): void {
  // A channel that is closed means the parent is gone, which 'disconnect' deals with.
  if (process.connected) process.send?.(message);
}
