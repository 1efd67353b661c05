import { type Dirent, readdirSync, statSync } from 'node:fs';
import { basename, join, parse, resolve } from 'node:path';
import { GatewayError } from '../errors.ts';

/** Somebody whom the user shows us. */
export interface PersonPhotos {
  /** Of the photo without its ending, or of the folder. */
  readonly name: string;
  /** As the user says them. */
  readonly photos: readonly string[];
}

/** As many as the API takes of one person. */
const MAX_PHOTOS = 20;
const MAX_PEOPLE = 100;

/**
 * Finds the photos of the people whom paths name: a photo is one person; a folder of photos is one person; a folder of
 * folders is one person each. What is hidden is left out. The same name twice is the same person.
 * @throws GatewayError 'bad-argument', one line that names the path
 */
export function findPeople(paths: readonly string[]): PersonPhotos[] {
  const photos = new Map<string, string[]>();
  for (const person of paths.flatMap(peopleAt)) {
    photos.set(person.name, [...(photos.get(person.name) ?? []), ...person.photos]);
  }
  if (photos.size > MAX_PEOPLE) throw refusal(`${photos.size} people are named; at most ${MAX_PEOPLE} can be`);
  for (const [name, own] of photos) {
    if (own.length > MAX_PHOTOS)
      throw refusal(`${name} has ${own.length} photos; at most ${MAX_PHOTOS} of a person are taken`);
  }
  return [...photos].map(([name, own]) => ({ name, photos: own }));
}

function peopleAt(path: string): PersonPhotos[] {
  if (!statAt(path).isDirectory()) return [{ name: parse(resolve(path)).name, photos: [path] }];
  const entries = entriesOf(path);
  const folders = entries.filter((entry) => statAt(entry).isDirectory());
  if (entries.length === 0) throw refusal(`there is no photo in ${path}`);
  if (folders.length === 0) return [{ name: basename(resolve(path)), photos: entries }];
  if (folders.length < entries.length) {
    throw refusal(`${path} holds photos beside folders; give a folder of photos, or one with a folder for each person`);
  }
  return folders.map((folder) => {
    const photos = entriesOf(folder);
    if (photos.length === 0) throw refusal(`there is no photo in ${folder}`);
    const inner = photos.find((entry) => statAt(entry).isDirectory());
    if (inner) throw refusal(`${inner} is a folder too deep; a folder for each person holds that person's photos`);
    return { name: basename(folder), photos };
  });
}

function entriesOf(folder: string): string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw refusal(`cannot read ${folder}: ${(error as NodeJS.ErrnoException).code}`);
  }
  const shown = entries.map(({ name }) => name).filter((name) => !name.startsWith('.'));
  return shown.toSorted().map((name) => join(folder, name));
}

function statAt(path: string): { isDirectory(): boolean } {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw refusal(`cannot read ${path}: ${code === 'ENOENT' ? 'no such file or folder' : code}`);
  }
}

function refusal(message: string): GatewayError {
  return new GatewayError('bad-argument', message);
}
