import { DTLS_PARAMETERS, RTP_CAPABILITIES, RTP_PARAMETERS } from './rtc-samples.ts';

/** Numbers in 0..1 that are the same in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const VALID = [
  { id: 1, type: 'auth', token: 'token' },
  { id: 2, type: 'subscribe', topic: 'stream:a' },
  { id: 3, type: 'unsubscribe', topic: 'stream:a' },
  { id: 4, type: 'rtc.capabilities', stream: 'a' },
  { id: 5, type: 'rtc.createTransport', stream: 'a', direction: 'recv' },
  { id: 6, type: 'rtc.connect', transport: 'transport-a-0-0', dtlsParameters: DTLS_PARAMETERS },
  { id: 7, type: 'rtc.produce', transport: 'transport-a-0-0', kind: 'video', rtpParameters: RTP_PARAMETERS, key: 'k' },
  { id: 8, type: 'rtc.consume', stream: 'a', kind: 'video', rtpCapabilities: RTP_CAPABILITIES },
  { id: 9, type: 'rtc.resume', consumer: 'consumer-a-0-1' },
  { id: 10, type: 'rtc.close', stream: 'a' },
];

/** What is put where something else belongs. */
export const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  1e308,
  2 ** 53,
  '',
  '\u0000',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  "' OR 1=1 --",
  '\ud800',
  '🙂'.repeat(100),
  'x'.repeat(5000),
  [],
  {},
  [[[[]]]],
  { length: 1e9 },
  { toString: null },
  Array.from({ length: 500 }, (_, index) => index),
];

/** The kinds of malformed messages, each made anew by every call. Every one has an answer due. */
export const MALFORMED: Readonly<Record<string, (random: () => number) => string | Buffer>> = {
  'random bytes as text': (random) =>
    Array.from({ length: 1 + random() * 200 }, () => String.fromCharCode(random() * 0x250)).join(''),
  'random JSON': (random) => JSON.stringify(randomValue(random, 5)),
  'a valid message, changed': (random) => JSON.stringify(changed(random)),
  'a valid message, cut off': (random) => {
    const text = JSON.stringify(pick(random, VALID));
    return text.slice(0, random() * (text.length - 1));
  },
  'a valid message, a character changed': (random) => {
    const text = JSON.stringify(pick(random, VALID));
    // Behind its id: without one, a message that is valid otherwise has no answer due.
    const start = text.indexOf('"type"');
    const at = start + Math.floor(random() * (text.length - start));
    return text.slice(0, at) + String.fromCharCode(33 + random() * 94) + text.slice(at + 1);
  },
  binary: (random) => Buffer.from(Array.from({ length: random() * 300 }, () => random() * 256)),
  'nested deeply': (random) => {
    const depth = 1000 + Math.floor(random() * 4000);
    return random() < 0.5
      ? `{"id":1,"type":"subscribe","topic":${'['.repeat(depth)}${']'.repeat(depth)}}`
      : `{"id":1,"type":${'{"type":'.repeat(depth)}1${'}'.repeat(depth + 1)}`;
  },
  huge: (random) => {
    const message = pick(random, VALID);
    const name = pick(random, Object.keys(message));
    const length = 30_000 + random() * 30_000;
    return JSON.stringify({ ...message, [name]: random() < 0.5 ? 'x'.repeat(length) : [['x'.repeat(length)]] });
  },
};

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

function randomValue(random: () => number, depth: number): unknown {
  const kind = random();
  if (depth === 0 || kind < 0.4) return pick(random, ODD_VALUES);
  const names = ['id', 'type', 'topic', 'stream', 'key', 'transport', '__proto__', 'x'];
  if (kind < 0.6) return Array.from({ length: random() * 5 }, () => randomValue(random, depth - 1));
  const entries = Array.from({ length: 1 + random() * 5 }, () => [pick(random, names), randomValue(random, depth - 1)]);
  return Object.fromEntries(entries);
}

/** A valid message with something else, or nothing, in one of its places, but for its id. */
function changed(random: () => number): unknown {
  const { id, ...rest } = pick(random, VALID);
  return { id, ...withOneChange(random, rest) };
}

/** A copy in which one place, at any depth, holds something else or nothing. */
export function withOneChange<T extends object>(random: () => number, from: T): T {
  const copy = structuredClone(from);
  let at = copy as Record<string, unknown>;
  for (;;) {
    const names = Object.keys(at);
    if (names.length === 0) return copy;
    const name = pick(random, names);
    const inner = at[name];
    if (typeof inner === 'object' && inner !== null && random() < 0.8) {
      at = inner as Record<string, unknown>;
      continue;
    }
    if (random() < 0.2) delete at[name];
    else at[name] = pick(random, ODD_VALUES);
    return copy;
  }
}
