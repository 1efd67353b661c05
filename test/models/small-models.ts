import { hash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findModel, loadManifest, type ModelEntry } from '../../models/manifest.ts';

/** Nothing listens on port 1: a download from here fails at once. */
const NOWHERE = 'http://127.0.0.1:1';

/** Stands for YuNet's file: the resolver looks at size and checksum only. */
export const YUNET_BYTES = Buffer.from('not the real YuNet, but it has a size and a checksum like it');
export const SSD_BYTES = Buffer.from('neither is this the real SSD');

/** The project's two detectors with small files in place of the real ones, downloaded from `origin`. */
export function smallModels(origin = NOWHERE): ModelEntry[] {
  return [small('yunet-n', YUNET_BYTES, origin), small('ssd-mobilenet-v1', SSD_BYTES, origin)];
}

function small(name: string, bytes: Buffer, origin: string): ModelEntry {
  const entry = findModel(loadManifest(), name);
  const source = { type: 'url' as const, url: `${origin}/${entry.file}` };
  return { ...entry, bytes: bytes.length, sha256: hash('sha256', bytes, 'hex'), source };
}

/** Writes YuNet's file name into a folder, made when it is not there. @returns the file's path */
export async function placeYunet(folder: string, bytes: Uint8Array = YUNET_BYTES): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, findModel(loadManifest(), 'yunet-n').file);
  await writeFile(path, bytes);
  return path;
}
