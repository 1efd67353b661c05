// A thread that finds and checks the models of recognition, or converts them, and then ends: that takes from a tenth of a
// second to several, for which frames can't wait.
import { parentPort, workerData } from 'node:worker_threads';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { resolveModelOf, resolveRecogniser } from '../../models/resolve.ts';

/** What the thread is started with. */
export interface ResolveThreadStart {
  readonly models: ModelLocations;
  /** Also what finds landmarks, for a detector that gives none. */
  readonly needsLandmarks: boolean;
}

/** A model's file, checked, with what the manifest says of it. */
export interface Resolved<K extends 'recogniser' | 'landmarks'> {
  readonly entry: ModelEntry<K>;
  readonly bytes: Uint8Array;
}

export type ResolveThreadReply =
  | { readonly recogniser: Resolved<'recogniser'>; readonly landmarks: Resolved<'landmarks'> | null }
  | { readonly failure: string };

const LANDMARKS = 'landmarks-68';

const { models, needsLandmarks } = workerData as ResolveThreadStart;
try {
  const recogniser = await resolveRecogniser(models);
  const landmarks = needsLandmarks ? await resolveModelOf('landmarks', LANDMARKS, models) : null;
  reply({ recogniser: moved(recogniser), landmarks: landmarks && moved(landmarks) });
} catch (error) {
  reply({ failure: error instanceof Error ? error.message : String(error) });
}

/** In memory of its own, which can be handed over. */
function moved<K extends 'recogniser' | 'landmarks'>({ entry, bytes }: Resolved<K>): Resolved<K> {
  return { entry, bytes: bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes) };
}

function reply(message: ResolveThreadReply): void {
  const models = 'failure' in message ? [] : [message.recogniser, message.landmarks];
  parentPort!.postMessage(
    message,
    models.flatMap((model) => (model ? [model.bytes.buffer as ArrayBuffer] : [])),
  );
}
