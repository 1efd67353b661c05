/** Hz by samplingFrequencyIndex (ISO/IEC 14496-3 table 1.18). */
const RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const ESCAPED_RATE = 15;
const ESCAPED_TYPE = 31;

/** How a stream of AAC frames runs in time, before SBR doubles its rate. */
export interface AacTiming {
  readonly sampleRate: number;
  readonly samplesPerFrame: 960 | 1024;
}

/**
 * Reads the head of an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
 *
 *     audioObjectType u(5), 31 → + u(6) + 32
 *     samplingFrequencyIndex u(4), 15 → samplingFrequency u(24)
 *     channelConfiguration u(4)
 *     SBR or PS (type 5, 29): extensionSamplingFrequencyIndex u(4) …, audioObjectType u(5) …
 *     GASpecificConfig (§4.4.1): frameLengthFlag u(1), 1 → 960 samples
 *
 * @returns null when it is cut short or names a rate that does not exist
 */
export function readAacTiming(config: Uint8Array): AacTiming | null {
  if (config.length < 2) return null;
  let at = 0;
  // Past the end there are zeroes: the extension may leave less than its fields.
  const bits = (count: number): number => {
    let value = 0;
    for (let index = 0; index < count; index++, at++) {
      value = value * 2 + (((config[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    }
    return value;
  };
  const objectType = (): number => {
    const type = bits(5);
    return type === ESCAPED_TYPE ? 32 + bits(6) : type;
  };
  const rate = (): number => {
    const index = bits(4);
    return index === ESCAPED_RATE ? bits(24) : (RATES[index] ?? 0);
  };
  const type = objectType();
  const sampleRate = rate();
  bits(4);
  if (type === 5 || type === 29) {
    rate();
    objectType();
  }
  if (sampleRate < 7_350 || sampleRate > 96_000) return null;
  return { sampleRate, samplesPerFrame: bits(1) === 1 ? 960 : 1024 };
}
