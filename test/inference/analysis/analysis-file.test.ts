import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AnalysisReader, AnalysisWriter, type FrameRecord } from '../../../inference/analysis/analysis-file.ts';
import { temporaryFolder } from '../../clips/temporary-folder.ts';
import { seen } from './synthetic-people.ts';

const folder = temporaryFolder();
const HEADER_BYTES = 16;
let files = 0;

function record(frame: number, faces = frame % 4): FrameRecord {
  return {
    pts: BigInt(frame) * 512n - 100n,
    fingerprint: (frame * 2654435761) % 2 ** 32,
    isInspected: frame % 5 !== 0,
    faces: frame % 5 === 0 ? [] : Array.from({ length: faces }, (_, i) => seen(i + 1, i * 50, i === 0 ? null : 0.5)),
  };
}

async function written(records: readonly FrameRecord[]): Promise<string> {
  const path = join(folder, `${files++}.faces`);
  const writer = await AnalysisWriter.create(path, 1280, 720);
  for (const each of records) await writer.add(each);
  await writer.finish();
  return path;
}

async function readAll(path: string): Promise<{ records: FrameRecord[]; isSpoiled: boolean }> {
  const reader = await AnalysisReader.open(path);
  const records: FrameRecord[] = [];
  for (let next = await reader.next(); next; next = await reader.next()) records.push(next);
  await reader.close();
  return { records, isSpoiled: reader.isSpoiled };
}

const records = Array.from({ length: 5000 }, (_, frame) => record(frame));

test('what was written is read again, frame by frame', async () => {
  const path = await written(records);
  expect(await readAll(path)).toEqual({ records, isSpoiled: false });
  const reader = await AnalysisReader.open(path);
  expect([reader.width, reader.height, reader.frames]).toEqual([1280, 720, 5000]);
  await reader.close();
});

test('it is nobody else’s to read, and takes what its faces take', async () => {
  const { mode, size } = statSync(await written(Array.from({ length: 1000 }, () => record(1, 10))));
  expect(mode & 0o777).toBe(0o600);
  // Two hours of ten faces in 58 MB.
  expect(size / 1000).toBeLessThan(270);
});

test('a frame of more faces than can be written down counts as one that was not inspected', async () => {
  const crowd = { ...record(1), faces: Array.from({ length: 4097 }, (_, i) => seen(i, i)) };
  const { records: read } = await readAll(await written([crowd, record(2)]));
  expect(read).toEqual([{ ...crowd, isInspected: false, faces: [] }, record(2)]);
});

test('one without frames is read as such', async () => {
  expect(await readAll(await written([]))).toEqual({ records: [], isSpoiled: false });
});

test.each([1, 8, 9, 1000, 100_000])('one that is %i bytes short is refused', async (bytes) => {
  const path = await written(records);
  truncateSync(path, statSync(path).size - bytes);
  await expect(AnalysisReader.open(path)).rejects.toMatchObject({ code: 'input-unreadable' });
});

test.each(['', 'no analysis', 'x'.repeat(100)])('what is none is refused: %o', async (text) => {
  const path = join(folder, `${files++}.faces`);
  writeFileSync(path, text);
  await expect(AnalysisReader.open(path)).rejects.toMatchObject({ code: 'input-unreadable' });
});

test('one that is missing is told by name', async () => {
  await expect(AnalysisReader.open(join(folder, 'none'))).rejects.toMatchObject({
    code: 'input-missing',
    message: expect.stringContaining('none'),
  });
});

test('a byte that is not as it was written ends what is known, wherever it lies', async () => {
  const few = records.slice(0, 12);
  const path = await written(few);
  const bytes = readFileSync(path);
  for (let at = HEADER_BYTES; at < bytes.length - 8; at++) {
    const harmed = Buffer.from(bytes);
    harmed[at]! ^= 0x41;
    writeFileSync(path, harmed);
    const { records: read, isSpoiled } = await readAll(path);
    expect(isSpoiled).toBe(true);
    expect(read).toEqual(few.slice(0, read.length));
    expect(read.length).toBeLessThan(few.length);
  }
});
