import { describe, expect, test } from 'vitest';
import { FaceRanges, timelineOf } from '../../../recorder/recording/face-ranges.ts';
import { FragmentReader } from '../../../recorder/recording/fragment-reader.ts';
import { moveTimes } from '../../../recorder/recording/mp4-boxes.ts';

const SEED = 20261121;
const ROUNDS = 300;

function box(type: string, ...content: readonly Buffer[]): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(content.reduce((sum, { length }) => sum + length, 8));
  return Buffer.concat([size, Buffer.from(type), ...content]);
}

function words(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [index, value] of numbers.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

function trak(track: number, timescale: number): Buffer {
  const mdhd = box('mdhd', words(0, 0, 0, timescale, 0));
  return box('trak', box('tkhd', words(0, 0, 0, track)), box('mdia', mdhd));
}

const INIT = Buffer.concat([box('ftyp', words(0)), box('moov', trak(1, 90_000), trak(2, 48_000))]);

/** Of so many ticks: each sample of the video has its own duration, those of the sound have one. */
function fragment(at: readonly [video: number, sound: number]): Buffer {
  const video = box(
    'traf',
    box('tfhd', words(0x020000, 1)),
    box('tfdt', words(0x01000000, 0, at[0])),
    box('trun', words(0x000305, 2, 0, 0, 3000, 10, 3600, 20)),
  );
  const sound = box(
    'traf',
    box('tfhd', words(0x020008, 2, 1024)),
    box('tfdt', words(0, at[1])),
    box('trun', words(0x000201, 3, 0, 5, 5, 5)),
  );
  return Buffer.concat([box('moof', video, sound), box('mdat', Buffer.from('media'))]);
}

function read(bytes: Buffer, step: number) {
  const inits: Buffer[] = [];
  const fragments: { data: Buffer; durationMs: number }[] = [];
  const reader = new FragmentReader({ onInit: (data) => inits.push(data), onFragment: (one) => fragments.push(one) });
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  return { inits, fragments };
}

describe('fragmented MP4', () => {
  const media = Buffer.concat([INIT, fragment([0, 0]), fragment([6600, 3072])]);

  test.each([1, 7, 64, 10_000])('is taken apart in pieces of %i bytes', (step) => {
    const { inits, fragments } = read(media, step);
    expect(inits).toEqual([INIT]);
    expect(fragments.map(({ data }) => data)).toEqual([fragment([0, 0]), fragment([6600, 3072])]);
    for (const { durationMs } of fragments) expect(durationMs).toBeCloseTo(6600 / 90, 6);
  });

  test('has its times moved, of each track in its own scale, and never before 0', () => {
    const data = Buffer.concat([fragment([6600, 3072]), fragment([13_200, 6144])]);
    moveTimes(data, INIT, 1000);
    expect(data).toEqual(Buffer.concat([fragment([96_600, 51_072]), fragment([103_200, 54_144])]));
    moveTimes(data, INIT, -1073.333);
    expect(data).toEqual(Buffer.concat([fragment([0, 0]), fragment([6600, 2624])]));
  });

  test('that is cut short or damaged is refused with a word, or read; nothing else happens', () => {
    let state = SEED;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state % below;
    };
    for (let round = 0; round < ROUNDS; round++) {
      const harmed = Buffer.from(media.subarray(0, next(media.length) + 1));
      for (let count = next(4); count > 0; count--) harmed[next(harmed.length)] = next(256);
      try {
        read(harmed, 1 + next(100));
      } catch (error) {
        const { code, name } = error as { code?: string; name: string };
        // A length that leads out of the box is found by Buffer itself.
        expect([code, name]).toSatisfy(() => code === 'bad-media' || code === 'ERR_OUT_OF_RANGE');
      }
    }
  });

  test('without end is refused', () => {
    expect(() => read(Buffer.concat([words(0x7fffffff), Buffer.from('mdat')]), 8)).toThrow('odd size');
    const endless = Buffer.concat(Array.from({ length: 3 }, () => box('free', Buffer.alloc(600_000))));
    expect(() => read(endless, 65_536)).toThrow('endless header');
  });
});

describe('who is seen when', () => {
  const face = (track: number, id: string | null = null, visible = false) => {
    return { track, visible, identity: id === null ? null : { id, similarity: 1 } };
  };

  test('is told piece by piece, and put together again', () => {
    const ranges = new FaceRanges();
    ranges.update(100, [face(1), face(2)]);
    ranges.update(1500, [face(1), face(2, 'zoe', true)]);
    const first = ranges.take(0, 2000);
    ranges.update(2500, [face(2, 'zoe', true)]);
    const second = ranges.take(2000, 4000);
    ranges.update(4100, []);
    ranges.update(4600, [face(1)]);
    const third = ranges.take(4000, 5000);
    expect(timelineOf([...first, ...second, ...third])).toEqual([
      {
        track: 2,
        identity: null,
        visible: false,
        ranges: [[100, 1500]],
      },
      {
        track: 1,
        identity: null,
        visible: false,
        ranges: [
          [100, 2500],
          [4600, 5000],
        ],
      },
      { track: 2, identity: 'zoe', visible: true, ranges: [[1500, 4100]] },
    ]);
    expect(ranges.omitted).toBe(0);
  });
});
