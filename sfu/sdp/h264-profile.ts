/** Profiles of H.264 that offers name, the simplest first. */
export type H264Profile = 'constrained-baseline' | 'baseline' | 'main' | 'constrained-high' | 'high';

/**
 * RFC 6184 §8.1, table 5: profile_idc, then which bits of profile-iop are looked at, and what they are.
 *
 *     profile-level-id: 3 bytes in hexadecimal
 *      0                   1                   2
 *      0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7
 *     +---------------+-+-+-+-+-+-+---+---------------+
 *     |  profile_idc  |0|1|2|3|4|5|0 0|   level_idc   |
 *     +---------------+-+-+-+-+-+-+---+---------------+
 *                      constraint_set0..5
 */
const PROFILES: readonly (readonly [idc: number, mask: number, bits: number, profile: H264Profile])[] = [
  [0x42, 0x4f, 0x40, 'constrained-baseline'],
  [0x4d, 0x8f, 0x80, 'constrained-baseline'],
  [0x58, 0xcf, 0xc0, 'constrained-baseline'],
  [0x42, 0x4f, 0x00, 'baseline'],
  [0x58, 0xcf, 0x80, 'baseline'],
  [0x4d, 0xaf, 0x00, 'main'],
  [0x64, 0xff, 0x0c, 'constrained-high'],
  [0x64, 0xff, 0x00, 'high'],
];

/** What browsers and mediasoup take an offer for that names none. */
export const DEFAULT_PROFILE_LEVEL_ID = '42e01f';

/** @returns null for a value that is malformed, or of a profile that is not known here */
export function h264ProfileOf(profileLevelId: string): H264Profile | null {
  if (!/^[0-9a-f]{6}$/i.test(profileLevelId)) return null;
  const idc = Number.parseInt(profileLevelId.slice(0, 2), 16);
  const iop = Number.parseInt(profileLevelId.slice(2, 4), 16);
  return PROFILES.find(([wanted, mask, bits]) => idc === wanted && (iop & mask) === bits)?.[3] ?? null;
}
