import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Frame } from 'node-av';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry } from '../../models/manifest.ts';
import { InferenceError } from '../errors.ts';
import type { FaceEmbedder } from '../recognise/face-embedder.ts';
import type { LandmarkFinder } from '../recognise/landmark-finder.ts';
import type { Detection } from '../track/box.ts';
import type { ResolveThreadReply, ResolveThreadStart } from './resolve-thread.ts';

/** What a live engine recognises faces with. */
export interface LiveRecogniser
  extends Pick<FaceEmbedder, 'name' | 'dimension' | 'thresholds' | 'look' | 'embed' | 'close'> {
  /**
   * Finds the landmarks of a face whose detector gives none; the first time, that loads what finds them. Borrows the
   * picture until it settles.
   */
  complete(picture: Frame, face: Detection): Promise<Detection>;
}

/** Threads that one embedding may use. */
const THREADS = 1;
/** A conversion takes some hundred megabytes for a moment. */
const HEAP_LIMITS = { maxOldGenerationSizeMb: 512 };

/**
 * Loads the recogniser. The caller closes it.
 * @throws InferenceError 'model-unusable'
 */
export async function openRecogniser(models: ModelLocations): Promise<LiveRecogniser> {
  const { entry, bytes } = await resolveBeside({ models, kind: 'recogniser' });
  // Loaded when needed: a spare engine has no use for it.
  const { FaceEmbedder } = await import('../recognise/face-embedder.ts');
  const embedder = await FaceEmbedder.open(entry as ModelEntry<'recogniser'>, bytes, THREADS);
  let finder: Promise<LandmarkFinder> | undefined;
  return {
    name: embedder.name,
    dimension: embedder.dimension,
    thresholds: embedder.thresholds,
    look: (picture, face) => embedder.look(picture, face),
    embed: (chip) => embedder.embed(chip),
    complete: async (picture, face) => {
      finder ??= openFinder(models);
      return (await finder).complete(picture, face);
    },
    close: async () => {
      await Promise.all([embedder.close(), finder?.then((opened) => opened.close())]);
    },
  };
}

async function openFinder(models: ModelLocations): Promise<LandmarkFinder> {
  const { entry, bytes } = await resolveBeside({ models, kind: 'landmarks' });
  const { LandmarkFinder } = await import('../recognise/landmark-finder.ts');
  return LandmarkFinder.open(entry as ModelEntry<'landmarks'>, bytes, THREADS);
}

function resolveBeside(start: ResolveThreadStart): Promise<Exclude<ResolveThreadReply, { failure: string }>> {
  const thread = new Worker(join(import.meta.dirname, 'resolve-thread.ts'), {
    workerData: start,
    resourceLimits: HEAP_LIMITS,
  });
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new InferenceError('model-unusable', `${start.kind}: ${reason}`));
    thread.once('message', (reply: ResolveThreadReply) => {
      if ('failure' in reply) fail(reply.failure);
      else resolve(reply);
    });
    thread.once('error', (error) => fail(error.message));
    thread.once('exit', (code) => fail(`its thread ended with ${code}`));
  });
}
