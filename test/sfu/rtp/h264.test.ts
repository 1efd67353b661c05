import { describe, expect, test } from 'vitest';
import { forEachNal } from '../../../sfu/rtp/annex-b.ts';
import { readGolomb } from '../../../sfu/rtp/h264-nal.ts';
import { SeededRandom } from './malformed.ts';
import { annexB, h264Frame, h264Slice, PPS, packetsOf, Receiver, SPS } from './streams.ts';

const random = new SeededRandom(9);
const IDR = h264Slice(random, 60, true);
const SLICE = h264Slice(random, 60, false);
const AUD = Buffer.from('09f0', 'hex');
const SEI = Buffer.from('0605ffffff80', 'hex');
const FILLER = Buffer.from('0cffffff80', 'hex');

const stapA = (...units: Buffer[]) =>
  Buffer.concat([Buffer.of(0x78), ...units.flatMap((unit) => [Buffer.of(unit.length >> 8, unit.length), unit])]);
const fuA = (unit: Buffer, ...cuts: number[]) =>
  [1, ...cuts].map((start, i) => {
    const place = (i === 0 ? 0x80 : 0) | (i === cuts.length ? 0x40 : 0);
    const header = Buffer.of((unit[0] & 0xe0) | 28, place | (unit[0] & 0x1f));
    return Buffer.concat([header, unit.subarray(start, cuts[i])]);
  });
const received = (receiver: Receiver) => receiver.frames.map(({ data }) => Buffer.from(data).toString('hex'));

test('units are found behind start codes of three and four bytes, without trailing zeros', () => {
  const units: string[] = [];
  const stream = Buffer.from('ff000001aabb000000010000030100000001cc0000000000000109', 'hex');
  forEachNal(stream, (start, end) => units.push(stream.toString('hex', start, end)));
  expect(units).toEqual(['aabb', '00000301', 'cc', '09']);
});

test('Exp-Golomb numbers are read over emulation prevention', () => {
  const read = (hex: string, skip: number, count: number) =>
    readGolomb(Buffer.from(hex, 'hex'), 0, hex.length / 2, skip, count);
  // 1 010 011 00100 …
  expect(read('41a64f', 0, 4)).toEqual([0, 1, 2, 3]);
  // 00 00 [03] 80 00 …: 16 zeros, a one, 16 zeros.
  expect(read('410000038000ff', 0, 1)).toEqual([2 ** 16]);
  expect(read('41ffffff80', 24, 1)).toEqual([0]);
  expect(read('41a6', 0, 4)).toBeNull();
  expect(read('41000003000003000003000003', 0, 1)).toBeNull();
});

describe('payloads of others', () => {
  test('single units, STAP-A and FU-A make one access unit', () => {
    const receiver = new Receiver('h264').receivePayloads([SPS, stapA(PPS, SEI), ...fuA(IDR, 20, 40)]);
    expect(received(receiver)).toEqual([annexB(SPS, PPS, IDR).toString('hex')]);
    expect(receiver.frames[0].isKeyframe).toBe(true);
  });

  test('delimiters, SEI and filler are left out', () => {
    const receiver = new Receiver('h264').receivePayloads([AUD, SPS, PPS, SEI, IDR, FILLER]);
    expect(received(receiver)).toEqual([annexB(SPS, PPS, IDR).toString('hex')]);
  });

  test('parameter sets in packets of their own are no frame', () => {
    const receiver = new Receiver('h264').receivePayloads([SPS, PPS], 0).receivePayloads([IDR], 3000);
    expect(received(receiver)).toEqual([annexB(SPS, PPS, IDR).toString('hex')]);
    expect(receiver.losses).toBe(0);
  });

  test('fragmented parameter sets are put together and remembered', () => {
    const receiver = new Receiver('h264').receivePayloads([AUD, ...fuA(SPS, 4, 9), ...fuA(PPS, 2), IDR]);
    receiver.receivePayloads([IDR], 3000);
    expect(received(receiver)).toEqual(Array(2).fill(annexB(SPS, PPS, IDR).toString('hex')));
  });

  test('a keyframe that lacks its parameter sets gets those that came before', () => {
    const receiver = new Receiver('h264').receivePayloads([SPS, PPS, IDR], 0);
    receiver.receivePayloads([SLICE], 3000).receivePayloads([IDR], 6000).receivePayloads([SPS, IDR], 9000);
    const whole = annexB(SPS, PPS, IDR).toString('hex');
    expect(received(receiver)).toEqual([
      whole,
      annexB(SLICE).toString('hex'),
      whole,
      annexB(PPS, SPS, IDR).toString('hex'),
    ]);
  });

  test('one whose parameter sets never came cannot be decoded, which is a loss', () => {
    const receiver = new Receiver('h264').receivePayloads([AUD, PPS, IDR]);
    expect(receiver.frames).toHaveLength(0);
    expect(receiver.losses).toBe(1);
  });

  test('of many parameter sets the latest are remembered', () => {
    const receiver = new Receiver('h264').receivePayloads([SPS, PPS, IDR], 0);
    // PPS ids 1 … 40 for SPS 0: ue(id) then '1'.
    for (let id = 1; id <= 40; id++) {
      const golomb = (id + 1).toString(2);
      const bits = `${'0'.repeat(golomb.length - 1)}${golomb}11`.padEnd(16, '1');
      receiver.receivePayloads([
        Buffer.of(0x68, Number.parseInt(bits.slice(0, 8), 2), Number.parseInt(bits.slice(8), 2)),
      ]);
    }
    receiver.receivePayloads([IDR], 3000);
    expect(receiver.frames).toHaveLength(1);
    expect(receiver.losses).toBe(1);
  });

  test('an access unit of several slices lacks none of them', () => {
    const frame = h264Frame(random, 4000, true, 4);
    const [packets] = packetsOf('h264', [frame], 400);
    expect(received(new Receiver('h264').receive(...packets))).toEqual([frame.toString('hex')]);
    const beheaded = new Receiver('h264').receivePayloads([SPS, PPS, IDR], 0);
    beheaded.receivePayloads([h264Slice(random, 60, false, false)], 3000);
    expect(beheaded.frames).toHaveLength(1);
    expect(beheaded.losses).toBe(1);
  });
});

test.each<[string, (Buffer | string)[]]>([
  ['STAP-B', ['79000100026100']],
  ['MTAP16', ['7a0000']],
  ['MTAP24', ['7b0000']],
  ['FU-B', ['7d850000ff']],
  ['type 0', ['60ff']],
  ['type 30', ['7eff']],
  ['the forbidden bit', ['e5888484']],
  ['an empty STAP-A', ['78']],
  ['a STAP-A with half a size', [Buffer.concat([stapA(IDR), Buffer.of(0)])]],
  ['a STAP-A with an empty unit', ['780000']],
  ['a STAP-A cut short', [stapA(SLICE).subarray(0, 40)]],
  ['a STAP-A in a STAP-A', [stapA(stapA(SLICE))]],
  ['an FU-A of one byte', ['7c']],
  ['an FU-A that starts and ends at once', ['7cc5888484']],
  ['an FU-A that never started', fuA(IDR, 30).slice(1)],
  ['an FU-A that starts twice', [fuA(IDR, 30)[0], ...fuA(IDR, 30)]],
  ['an FU-A that does not end', fuA(IDR, 30, 40).slice(0, 2)],
  ['an FU-A that another unit cuts into', [fuA(IDR, 30)[0], SEI, fuA(IDR, 30)[1]]],
  ['an FU-A that becomes another unit', [fuA(IDR, 30)[0], fuA(SLICE, 30)[1]]],
  ['an FU-A in an FU-A', ['7c9c888484', '7c5c888484']],
  ['IDR and other slices in one picture', [IDR, SLICE]],
  ['a data partition', ['4288ff']],
  ['a slice without a header', ['65']],
  ['an IDR slice that ends in its header', ['6588']],
  ['an SPS cut short', [SPS.subarray(0, 4), IDR]],
  ['an SPS of 5,000 bytes', [Buffer.concat([SPS, Buffer.alloc(5000, 1)]), IDR]],
])('%s is a loss, and nothing is given out until the next keyframe', (_what, payloads) => {
  const receiver = new Receiver('h264').receivePayloads([SPS, PPS, IDR], 0);
  receiver.receivePayloads(payloads, 3000).receivePayloads([SLICE], 6000);
  expect(receiver.frames).toHaveLength(1);
  expect(receiver.losses).toBeGreaterThan(0);
  expect(receiver.depacketizer.counters().malformed).toBeGreaterThan(0);
  receiver.receivePayloads([IDR], 9000);
  expect(receiver.frames).toHaveLength(2);
});

describe('payloads of ours', () => {
  const typesOf = (frame: Buffer, maxBytes?: number) =>
    packetsOf('h264', [frame], maxBytes)[0].map(({ payload }) => payload[0] & 0x1f);

  test('what is small goes into one STAP-A, without delimiter and filler', () => {
    const frame = annexB(AUD, SPS, PPS, SEI, IDR, FILLER);
    const [[packet]] = packetsOf('h264', [frame]);
    expect(packet.payload.equals(stapA(SPS, PPS, SEI, IDR).fill(0x78, 0, 1))).toBe(true);
  });

  test('what is alone is a single unit, what is big is fragmented', () => {
    expect(typesOf(annexB(SLICE))).toEqual([1]);
    expect(typesOf(annexB(SPS, PPS, h264Slice(random, 3000, true)))).toEqual([24, 28, 28, 28]);
    expect(typesOf(annexB(h264Slice(random, 1180, false)))).toEqual([1]);
    expect(typesOf(annexB(h264Slice(random, 1181, false)))).toEqual([28, 28]);
  });

  test('three-byte start codes are taken too', () => {
    const frame = Buffer.concat([SPS, PPS, IDR].flatMap((unit) => [Buffer.of(0, 0, 1), unit]));
    const receiver = new Receiver('h264').receive(...packetsOf('h264', [frame])[0]);
    expect(received(receiver)).toEqual([annexB(SPS, PPS, IDR).toString('hex')]);
  });
});
