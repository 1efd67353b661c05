import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelLocations } from './locations.ts';
import type { ModelEntry, ModelKind } from './manifest.ts';

/** A file in which a model may be. */
export interface ModelPlace {
  readonly origin: 'cache' | 'models-dir' | 'shared';
  readonly path: string;
  /** What to do about a file there that is not the one meant; a sentence without its full stop. */
  readonly remedy: string;
}

/** Where a model is looked for, in this order. What a user brings is in the user's folder only. */
export function modelPlaces(entry: ModelEntry<ModelKind>, locations: ModelLocations): ModelPlace[] {
  const { cacheDir, modelsDir, sharedDir } = locations;
  const remedy = replaceRemedy(entry);
  const places = [
    { origin: 'cache', folder: cacheDir, remedy: 'Delete it, and it is made anew' },
    { origin: 'models-dir', folder: modelsDir, remedy },
    { origin: 'shared', folder: sharedDir, remedy },
  ] as const;
  return places
    .filter(({ origin }) => entry.source.type !== 'file' || origin === 'models-dir')
    .flatMap(({ origin, folder, remedy }) =>
      folder === undefined ? [] : [{ origin, path: join(folder, entry.file), remedy }],
    );
}

/** The first of a model's places that holds a file, by name only: neither opened nor checked. Null when none does. */
export async function locateModel(
  entry: ModelEntry<ModelKind>,
  locations: ModelLocations,
): Promise<(ModelPlace & { readonly bytes: number }) | null> {
  for (const place of modelPlaces(entry, locations)) {
    const found = await stat(place.path).catch(() => null);
    if (found) return { ...place, bytes: found.size };
  }
  return null;
}

/** How to mend a file that is not there or not the right one; a sentence without its full stop. */
export function replaceRemedy({ name, file, source }: ModelEntry<ModelKind>): string {
  if (source.type === 'npm') return 'Remove it, and it is converted from its package';
  if (source.type === 'file') {
    return `Put ${file} into FACEBLUR_MODELS_DIR, beside the manifest.json whose entry ${name} must hold its bytes and sha256`;
  }
  return `Put ${file} from ${source.url} into a folder and set FACEBLUR_MODELS_DIR to it`;
}
