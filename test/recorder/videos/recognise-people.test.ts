import { expect, test } from 'vitest';
import { recognisePeople } from '../../../recorder/videos/recognise-people.ts';
import type { VideoPerson } from '../../../recorder/videos/video-people.ts';

const SAME_FROM = 0.9475;

/** A direction so far from Ann's: 0 is hers, 1 is at a right angle to it. */
function face(turn: number): Float32Array {
  const mean = new Float32Array(4);
  mean[0] = Math.cos((turn * Math.PI) / 2);
  mean[1] = Math.sin((turn * Math.PI) / 2);
  return mean;
}

function person(number: number, mean: Float32Array | null, over: Partial<VideoPerson> = {}): VideoPerson {
  const times = { firstFrame: 0, lastFrame: 9, ranges: [[0, 1000]] as const };
  return { face: number, ...times, looks: 5, mean, thumbnail: null, ...over };
}

const ann = { id: 'ann', embeddings: [face(0)] };
const recognised = (people: VideoPerson[], known = [ann]) =>
  [...recognisePeople({ sameFrom: SAME_FROM, people }, known)].map(([number, { id }]) => `${number} ${id}`);

test('who is like the photos of one person is named', () => {
  expect(recognised([person(1, face(0.1)), person(2, face(0.8))])).toEqual(['1 ann']);
});

test('too few looks, or looks that say nothing together, name nobody', () => {
  expect(recognised([person(1, face(0), { looks: 2 }), person(2, null)])).toEqual([]);
});

test('past the threshold itself nobody is named yet', () => {
  const turn = (Math.acos(SAME_FROM + 0.001) * 2) / Math.PI;
  expect(recognised([person(1, face(turn))])).toEqual([]);
});

test('of two at a time who are as much like a person neither is named; one after the other, both are', () => {
  const together = [person(1, face(0.05)), person(2, face(-0.05))];
  expect(recognised(together)).toEqual([]);
  expect(recognised([together[0]!, { ...together[1]!, ranges: [[1000, 2000]] }])).toEqual(['1 ann', '2 ann']);
});

test('who is as much like two people is neither', () => {
  const twin = { id: 'twin', embeddings: [face(0.06)] };
  expect(recognised([person(1, face(0.03))], [ann, twin])).toEqual([]);
  expect(recognised([person(1, face(0))], [])).toEqual([]);
});
