import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Frame } from 'node-av';
import type { ModelLocations } from '../../models/locations.ts';
import { InferenceError } from '../errors.ts';
import type { FaceEmbedder } from '../recognise/face-embedder.ts';
import type { Detection } from '../track/box.ts';
import type { ResolveThreadReply, ResolveThreadStart } from './resolve-thread.ts';

/** What a live engine recognises faces with. */
export interface LiveRecogniser
  extends Pick<FaceEmbedder, 'name' | 'dimension' | 'thresholds' | 'look' | 'embed' | 'close'> {
  /** Finds the landmarks of a face whose detector gives none; absent where it gives them. Borrows the picture. */
  complete?(picture: Frame, face: Detection): Promise<Detection>;
}

/** @param needsLandmarks whether the detector gives none */
export type OpenRecogniser = (needsLandmarks: boolean) => Promise<LiveRecogniser>;

/** Threads that one embedding may use. */
const THREADS = 1;
/** A conversion takes some hundred megabytes for a moment. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 512 };

/**
 * Loads the recogniser, and what finds landmarks where those are needed. The caller closes it.
 * @throws InferenceError 'model-unusable'
 */
export async function openRecogniser(models: ModelLocations, needsLandmarks: boolean): Promise<LiveRecogniser> {
  const found = await resolveBeside({ models, needsLandmarks });
  // Loaded when needed: a spare engine has no use for it.
  const { FaceEmbedder } = await import('../recognise/face-embedder.ts');
  const embedder = await FaceEmbedder.open(found.recogniser.entry, found.recogniser.bytes, THREADS);
  if (!found.landmarks) return embedder;
  try {
    const { LandmarkFinder } = await import('../recognise/landmark-finder.ts');
    const finder = await LandmarkFinder.open(found.landmarks.entry, found.landmarks.bytes, THREADS);
    return {
      name: embedder.name,
      dimension: embedder.dimension,
      thresholds: embedder.thresholds,
      look: (picture, face) => embedder.look(picture, face),
      embed: (chip) => embedder.embed(chip),
      complete: (picture, face) => finder.complete(picture, face),
      close: async () => {
        await Promise.all([embedder.close(), finder.close()]);
      },
    };
  } catch (error) {
    await embedder.close();
    throw error;
  }
}

function resolveBeside(start: ResolveThreadStart): Promise<Exclude<ResolveThreadReply, { failure: string }>> {
  const thread = new Worker(join(import.meta.dirname, 'resolve-thread.ts'), {
    workerData: start,
    resourceLimits: HEAP_LIMITS,
  });
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new InferenceError('model-unusable', `recogniser: ${reason}`));
    thread.once('message', (reply: ResolveThreadReply) => {
      if ('failure' in reply) fail(reply.failure);
      else resolve(reply);
    });
    thread.once('error', (error) => fail(error.message));
    thread.once('exit', (code) => fail(`its thread ended with ${code}`));
  });
}
