import { expect, test } from 'vitest';
import { KnownPeople } from '../../../inference/recognise/known-people.ts';
import { MeanLook } from '../../../inference/recognise/mean-look.ts';
import { makeUnit, similarity } from '../../../inference/recognise/similarity.ts';
import { DIMENSION, like, person } from './stage.ts';

const three = [
  { id: 'anna', embeddings: [like(0, 0.95, 4), like(0, 0.95, 5)] },
  { id: 'bert', embeddings: [person(1)] },
  { id: 'carl', embeddings: [person(2), like(2, 0.9), like(2, 0.8)] },
];

test('a look is matched with each of a person’s embeddings, the mean of looks with their mean', () => {
  const people = new KnownPeople();
  people.set(three);
  expect(people.best(like(0, 0.95, 4))).toEqual({ id: 'anna', similarity: expect.closeTo(1, 5) });
  // What the two photos share is nearer to their mean than to either.
  const nearest = people.nearest(person(0))!;
  expect(nearest.id).toBe('anna');
  expect(nearest.similarity).toBeGreaterThan(people.best(person(0))!.similarity + 0.02);
  expect(people.similarityTo('carl', like(2, 0.8))).toBeCloseTo(1, 5);
  expect(people.similarityTo('nobody', person(0))).toBe(0);
  expect(people.nearnessTo('nobody', person(0))).toBe(0);
});

test('who is alike to the very next person is told by their margin, unless both are one', () => {
  const people = new KnownPeople();
  people.set([
    { id: 'a', embeddings: [person(0)] },
    { id: 'b', embeddings: [like(0, 0.8, 1)] },
    { id: 'c', embeddings: [person(9)] },
  ]);
  expect(people.margin('a', person(0), 0.94)).toBeCloseTo(0.2, 5);
  expect(people.margin('a', person(0), 0.7)).toBe(Number.POSITIVE_INFINITY);
  expect(people.margin('nobody', person(0), 0.94)).toBe(0);
  people.set([{ id: 'a', embeddings: [person(0)] }]);
  expect(people.margin('a', person(0), 0.94)).toBe(Number.POSITIVE_INFINITY);
});

test('people who are replaced or cleared are known no more, and who stayed the same is told', () => {
  const people = new KnownPeople();
  expect(people.set(three)).toEqual(new Set());
  const changed = [three[0]!, { id: 'bert', embeddings: [like(1, 0.99)] }];
  expect(people.set(changed)).toEqual(new Set(['anna']));
  expect(people.size).toBe(2);
  expect(people.has('carl')).toBe(false);
  expect(people.best(person(2))!.similarity).toBeLessThan(0.5);
  people.clear();
  expect([people.best(person(0)), people.nearest(person(0)), people.size]).toEqual([null, null, 0]);
});

test('embeddings of two lengths leave nobody', () => {
  const people = new KnownPeople();
  const short = new Float32Array(DIMENSION / 2).fill(0.5);
  expect(() => people.set([...three, { id: 'x', embeddings: [short] }])).toThrow(/need 16/);
  expect(people.best(person(0))).toBeNull();
});

test('the mean of looks has unit length, and later looks outweigh those of long ago', () => {
  const mean = new MeanLook();
  for (let n = 0; n < 3; n++) mean.add(like(0, 0.9, 3 + n));
  expect(Math.hypot(...mean.embedding!)).toBeCloseTo(1, 5);
  expect(similarity(mean.embedding!, person(0))).toBeGreaterThan(0.95);
  for (let n = 0; n < 40; n++) mean.add(person(1));
  expect(similarity(mean.embedding!, person(1))).toBeGreaterThan(0.99);
  expect(mean.count).toBe(43);
  const { embedding } = mean;
  mean.clear();
  expect([mean.embedding, mean.count]).toEqual([null, 0]);
  expect(embedding!.every((value) => value === 0)).toBe(true);
  expect(makeUnit(embedding!)).toBe(false);
});
