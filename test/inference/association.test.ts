import { expect, test } from 'vitest';
import { associate, type Gate } from '../../inference/track/association.ts';
import type { Box } from '../../inference/track/box.ts';

const box = (x: number, y: number, side: number): Box => ({ x, y, w: side, h: side });
const gate = (minIou: number, maxDistance: number) => (): Gate => ({ minIou, maxDistance });
const usual = gate(0.1, 0.6);

test('each face is paired with the detection that overlaps it most', () => {
  const faces = [box(0, 0, 40), box(100, 0, 40)];
  expect(associate(faces, [box(104, 2, 40), box(3, 0, 40)], usual).sort()).toEqual([
    [0, 1],
    [1, 0],
  ]);
});

test('where two faces want one detection, the better pair wins and the other is left', () => {
  const faces = [box(12, 0, 40), box(2, 0, 40)];
  expect(associate(faces, [box(0, 0, 40)], usual)).toEqual([[1, 0]]);
});

test('a small face that moved past its own size is still paired, by distance', () => {
  const pairs = associate([box(50, 50, 10)], [box(64, 50, 10)], gate(0.1, 1.5));
  expect(pairs).toEqual([[0, 0]]);
});

test('a face past the gate is not paired', () => {
  expect(associate([box(50, 50, 10)], [box(80, 50, 10)], gate(0.1, 1.5))).toEqual([]);
});

test('a face of quite another size near by is not the same one', () => {
  expect(associate([box(50, 50, 10)], [box(52, 40, 30)], gate(0.2, 1.5))).toEqual([]);
});

test('no index is used twice in a crowd', () => {
  const faces = Array.from({ length: 12 }, (_, i) => box(i * 8, 0, 20));
  const pairs = associate(faces, faces.slice(3), usual);
  expect(new Set(pairs.map(([p]) => p)).size).toBe(pairs.length);
  expect(new Set(pairs.map(([, d]) => d)).size).toBe(pairs.length);
  expect(pairs).toHaveLength(9);
});
