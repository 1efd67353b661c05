import { InferenceError } from '../../inference/errors.ts';
import type { EmbeddedFace, ImageEmbeddings } from '../../inference/image/image-messages.ts';
import type { KnownPerson, PeoplePolicy } from '../../inference/policy.ts';
import type { ModelLocations } from '../../models/locations.ts';
import { GatewayError } from '../errors.ts';
import type { PersonPhotos } from './people-photos.ts';
import { readImageFile } from './read-image-file.ts';

/** Why a face does not tell who it is, in words that follow "the face in <photo>". */
const REFUSALS: Readonly<Record<NonNullable<EmbeddedFace['refusal']>, string>> = {
  'too-small': 'is too small',
  'too-blurred': 'is too blurred',
  turned: 'is turned away',
  unsure: 'hardly looks like one',
  'no-landmarks': 'shows no eyes, nose and mouth',
};

/**
 * Learns whom photos show.
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
  const engine = new ImageEngine(models, (message) => process.stderr.write(`faceblur: warning: ${message}\n`));
  const known: KnownPerson[] = [];
  let recogniser = '';
  try {
    for (const { name, photos } of people) {
      const embeddings: Float32Array[] = [];
      for (const photo of photos) {
        const found = await embedded(photo, (image) => engine.embedFaces(image, { signal }));
        recogniser = found.model;
        embeddings.push(onlyFace(photo, found));
      }
      known.push({ id: name, embeddings });
    }
  } finally {
    await engine.close();
  }
  return { mode, recogniser, people: known };
}

async function embedded(
  photo: string,
  embed: (image: Uint8Array) => Promise<ImageEmbeddings>,
): Promise<ImageEmbeddings> {
  try {
    return await embed(await readImageFile(photo));
  } catch (error) {
    // What is wrong with a photo is told to follow its name.
    if (error instanceof GatewayError || (error instanceof InferenceError && error.fault === 'input')) {
      throw new GatewayError('bad-argument', `${photo}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

function onlyFace(photo: string, { faces }: ImageEmbeddings): Float32Array {
  const [face, other] = faces;
  if (!face) throw new GatewayError('bad-argument', `${photo}: no face is found in it; give a photo of one person`);
  if (other) {
    const message = `${photo}: ${faces.length} faces are in it, and nobody knows whose is meant; cut the others off`;
    throw new GatewayError('bad-argument', message);
  }
  const { refusal, embedding } = face;
  if (refusal !== null || !embedding) {
    const reason = REFUSALS[refusal ?? 'no-landmarks'];
    throw new GatewayError('bad-argument', `${photo}: the face in it ${reason}; give a photo that shows it well`);
  }
  return embedding;
}
