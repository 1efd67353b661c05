import { beforeEach, describe, expect, test } from 'vitest';
import { JitterBuffer } from '../../../sfu/rtp/jitter-buffer.ts';
import type { RtpPacket } from '../../../sfu/rtp/rtp-packet.ts';
import { SeededRandom } from './malformed.ts';

const WAIT_MS = 100;
const CAPACITY = 64;

const packet = (sequenceNumber: number, ssrc = 1): RtpPacket => ({
  marker: false,
  payloadType: 96,
  sequenceNumber: sequenceNumber & 0xffff,
  timestamp: 0,
  ssrc,
  payload: Buffer.alloc(0),
});

let events: string[];
let sequences: number[];
let buffer: JitterBuffer;

const push = (nowMs: number, ...numbers: number[]) => {
  for (const number of numbers) buffer.push(packet(number), nowMs);
};
const taken = () => events.splice(0).join(' ');

beforeEach(() => {
  events = [];
  sequences = [];
  buffer = new JitterBuffer(
    {
      onPacket: ({ sequenceNumber }, sequence) => {
        events.push(String(sequenceNumber));
        sequences.push(sequence);
      },
      onLost: (count) => events.push(`lost:${count}`),
      onRestart: () => events.push('restart'),
    },
    { maxWaitMs: WAIT_MS, maxPackets: CAPACITY },
  );
});

test('packets in order pass at once, also over the wrap', () => {
  push(0, 65534, 65535, 0, 1);
  expect(taken()).toBe('65534 65535 0 1');
  expect(sequences.map((sequence) => sequence - sequences[0])).toEqual([0, 1, 2, 3]);
  expect(buffer.nextDeadlineMs).toBeNull();
});

test('packets that swapped, also over the wrap, come out in order', () => {
  push(0, 65534, 0, 65535, 2, 1);
  expect(taken()).toBe('65534 65535 0 1 2');
});

test('duplicates are dropped, of what was given out and of what waits', () => {
  push(0, 1, 1, 3, 3, 2, 2, 1);
  expect(taken()).toBe('1 2 3');
  expect(buffer.counters()).toMatchObject({ received: 7, duplicates: 4, late: 0, lost: 0, waiting: 0 });
});

test('a missing packet is waited for so long and no longer', () => {
  push(0, 1);
  push(5, 3);
  push(50, 4);
  expect(buffer.nextDeadlineMs).toBe(5 + WAIT_MS);
  buffer.poll(5 + WAIT_MS - 1);
  expect(taken()).toBe('1');
  buffer.poll(5 + WAIT_MS);
  expect(taken()).toBe('lost:1 3 4');
  expect(buffer.nextDeadlineMs).toBeNull();
});

test('a retransmission in time fills the gap', () => {
  push(0, 1, 3, 4);
  push(WAIT_MS - 1, 2);
  expect(taken()).toBe('1 2 3 4');
  expect(buffer.counters().lost).toBe(0);
});

test('one that comes after that is late, and dropped', () => {
  push(0, 1, 3);
  buffer.poll(WAIT_MS);
  push(WAIT_MS, 2);
  expect(taken()).toBe('1 lost:1 3');
  expect(buffer.counters()).toMatchObject({ late: 1, lost: 1, duplicates: 0 });
});

test('each gap has its own time, from when it was seen', () => {
  push(0, 1);
  push(10, 3);
  push(60, 5);
  push(10 + WAIT_MS, 6);
  expect(taken()).toBe('1 lost:1 3');
  expect(buffer.nextDeadlineMs).toBe(60 + WAIT_MS);
  buffer.poll(60 + WAIT_MS);
  expect(taken()).toBe('lost:1 5 6');
});

test('a poll that is overdue gives up on all gaps whose time is over', () => {
  push(0, 1, 3, 5, 7);
  buffer.poll(10 * WAIT_MS);
  expect(taken()).toBe('1 lost:1 3 lost:1 5 lost:1 7');
});

test('no more than so many packets ever wait', () => {
  push(0, 0);
  for (let i = 2; i < 10_000; i++) {
    push(1, i);
    expect(buffer.counters().waiting).toBeLessThan(CAPACITY);
  }
  expect(buffer.counters()).toMatchObject({ lost: 1, waiting: 0 });
});

test('a gap wider than can be waited for is lost at once, when a second packet confirms it', () => {
  push(0, 10, 12, 10 + 500);
  expect(taken()).toBe('10');
  push(0, 10 + 501);
  expect(taken()).toBe('lost:1 12 lost:497 510 511');
});

describe('another stream', () => {
  test.each([
    ['far ahead', 20_000],
    ['far back', 60_000],
  ])('in the same SSRC, %s', (_where, number) => {
    push(0, 100, 102, number, number + 1, number + 2);
    expect(taken()).toBe(`100 restart ${number} ${number + 1} ${number + 2}`);
    expect(buffer.counters().restarts).toBe(1);
    expect(sequences[1] - sequences[0]).toBeGreaterThan(1);
  });

  test('under a new SSRC', () => {
    push(0, 100);
    buffer.push(packet(101, 2), 0);
    buffer.push(packet(102, 2), 0);
    expect(taken()).toBe('100 restart 101 102');
  });

  test('so near behind that its packets look late', () => {
    push(0, 1500);
    for (let i = 0; i < 150; i++) push(0, 1000 + i);
    expect(buffer.counters().restarts).toBe(1);
    expect(events.at(-1)).toBe('1149');
  });

  test('is not made by single strays', () => {
    push(0, 1, 30_000, 2, 40_000, 3);
    buffer.push(packet(9, 7), 0);
    push(0, 4, 5);
    expect(taken()).toBe('1 2 3 4 5');
    expect(buffer.counters().restarts).toBe(0);
  });

  test('sequence numbers only ever grow', () => {
    const random = new SeededRandom(7);
    for (let i = 0; i < 20_000; i++) {
      const jump = random.chance(0.01) ? random.below(65_536) : i;
      for (let j = 0; j < 3; j++) push(i, jump + j);
    }
    expect(sequences.every((sequence, i) => i === 0 || sequence > sequences[i - 1])).toBe(true);
    expect(buffer.counters().restarts).toBeGreaterThan(0);
  });
});

test('over 20 % loss, duplicates and reordering every packet comes once and in order, or is counted as lost', () => {
  const COUNT = 50_000;
  const random = new SeededRandom(11);
  const onTheWay: { number: number; atMs: number }[] = [];
  let lostOnTheWay = 0;
  for (let number = 0; number < COUNT; number++) {
    // The first and the last arrive, so that every loss has a packet behind it.
    if (number > 0 && number < COUNT - 1 && random.chance(0.2)) {
      lostOnTheWay++;
      continue;
    }
    onTheWay.push({ number, atMs: number + (number > 0 && number < COUNT - 1 ? random.below(20) : 0) });
    if (random.chance(0.05)) onTheWay.push({ number, atMs: number + random.below(20) });
  }
  onTheWay.sort((a, b) => a.atMs - b.atMs);
  for (const { number, atMs } of onTheWay) push(atMs, number);
  buffer.poll(Number.POSITIVE_INFINITY);
  expect(buffer.counters()).toMatchObject({ lost: lostOnTheWay, late: 0, restarts: 0, waiting: 0 });
  expect(sequences).toHaveLength(COUNT - lostOnTheWay);
  expect(sequences.every((sequence, i) => i === 0 || sequence > sequences[i - 1])).toBe(true);
});
