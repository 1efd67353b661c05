// A thread that finds and checks a model of recognition, or converts it, and then ends: that takes from a tenth of a second
// to several, for which frames can't wait.
import { parentPort, workerData } from 'node:worker_threads';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { resolveModelOf, resolveRecogniser } from '../../models/resolve.ts';

/** What the thread is started with. */
export interface ResolveThreadStart {
  readonly models: ModelLocations;
  readonly kind: 'recogniser' | 'landmarks';
}

export type ResolveThreadReply =
  /** A model's file, checked, with what the manifest says of it. */
  { readonly entry: ModelEntry<'recogniser' | 'landmarks'>; readonly bytes: Uint8Array } | { readonly failure: string };

const LANDMARKS = 'landmarks-68';

const { models, kind } = workerData as ResolveThreadStart;
try {
  const { entry, bytes } =
    kind === 'recogniser' ? await resolveRecogniser(models) : await resolveModelOf(kind, LANDMARKS, models);
  // In memory of its own, which can be handed over.
  const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
  reply({ entry, bytes: own }, [own.buffer as ArrayBuffer]);
} catch (error) {
  reply({ failure: error instanceof Error ? error.message : String(error) }, []);
}

function reply(message: ResolveThreadReply, handedOver: ArrayBuffer[]): void {
  parentPort!.postMessage(message, handedOver);
}
