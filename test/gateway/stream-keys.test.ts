import { expect, test } from 'vitest';
import { hashKey, makePlayToken, makeStreamKey, verifyKey } from '../../gateway/stream-keys.ts';

test('a key says what it opens, and carries 256 bits of chance', () => {
  const { key, hash } = makeStreamKey();
  expect(key).toMatch(/^sk_[A-Za-z0-9_-]{43}$/);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(hash).not.toContain(key.slice(3));
  expect(makePlayToken().key).toMatch(/^pt_[A-Za-z0-9_-]{43}$/);
  expect(new Set(Array.from({ length: 100 }, () => makeStreamKey().key)).size).toBe(100);
});

test('a key fits its own hash and no other', () => {
  const one = makeStreamKey();
  const two = makeStreamKey();
  expect(one.hash).toBe(hashKey(one.key));
  expect(verifyKey(one.key, one.hash)).toBe(true);
  for (const wrong of [two.key, '', one.key.slice(0, -1), `${one.key} `, one.key.toLowerCase(), one.hash]) {
    expect(verifyKey(wrong, one.hash), wrong).toBe(false);
  }
});

test('what is no hash fits no key', () => {
  const { key, hash } = makeStreamKey();
  for (const broken of ['', 'zz', hash.slice(2), `${hash}00`, `${hash.slice(0, -2)}zz`]) {
    expect(verifyKey(key, broken), broken).toBe(false);
  }
});
