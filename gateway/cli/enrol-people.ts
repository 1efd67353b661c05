import { InferenceError } from '../../inference/errors.ts';
import type { ImageEngine } from '../../inference/image/image-engine.ts';
import type { KnownPerson, PeoplePolicy } from '../../inference/policy.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { GatewayError } from '../errors.ts';
import { portraitOf } from '../identities/portrait.ts';
import type { PersonPhotos } from './people-photos.ts';
import { readImageFile } from './read-image-file.ts';

/**
 * Learns whom photos show. Of people who are to be seen a photo that tells nothing is warned of and left out, as long as
 * another one tells: they are only seen less. Of people who are to be covered each photo counts.
 * @param mode whether those people are kept visible or are the only ones covered
 * @throws GatewayError 'bad-argument', one line that names the photo that shows nobody, or several people, or too little;
 *   InferenceError where there is no model to work with, or 'closed' once the signal is aborted
 */
export async function enrolPeople(
  mode: PeoplePolicy['mode'],
  people: readonly PersonPhotos[],
  models: ModelLocations,
  signal: AbortSignal,
): Promise<PeoplePolicy> {
  const { ImageEngine } = await import('../../inference/image/image-engine.ts');
  const engine = new ImageEngine(models, warn);
  const known: KnownPerson[] = [];
  let recogniser = '';
  try {
    for (const { name, photos } of people) {
      const embeddings: Float32Array[] = [];
      let refusal: GatewayError | undefined;
      for (const photo of photos) {
        const learnt = await learnFrom(photo, engine, signal);
        if (learnt instanceof GatewayError) {
          if (mode === 'only') throw learnt;
          if (refusal) warn(refusal.message);
          refusal = learnt;
          continue;
        }
        recogniser = learnt.recogniser;
        embeddings.push(learnt.embedding);
      }
      if (refusal && embeddings.length === 0) throw refusal;
      if (refusal) warn(`${refusal.message}; left out, ${name} is known by ${embeddings.length} of ${photos.length}`);
      known.push({ id: name, embeddings });
    }
  } finally {
    await engine.close();
  }
  return { mode, recogniser, people: known };
}

/** @returns what the photo tells, or why it tells nothing */
async function learnFrom(
  photo: string,
  engine: ImageEngine,
  signal: AbortSignal,
): Promise<{ embedding: Float32Array; recogniser: string } | GatewayError> {
  try {
    const { faces, model: recogniser } = await engine.embedFaces(await readImageFile(photo), { signal });
    const portrait = portraitOf(faces);
    if ('embedding' in portrait) return { embedding: portrait.embedding, recogniser };
    return new GatewayError('bad-argument', `${photo}: ${portrait.message}`);
  } catch (error) {
    // What is wrong with a photo is told to follow its name.
    const isPhotos = error instanceof GatewayError || (error instanceof InferenceError && error.fault === 'input');
    if (!isPhotos || signal.aborted) throw error;
    return new GatewayError('bad-argument', `${photo}: ${error.message}`, { cause: error });
  }
}

function warn(message: string): void {
  process.stderr.write(`faceblur: warning: ${message}\n`);
}
