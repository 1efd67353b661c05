/** NAL unit types (ITU-T H.264 table 7-1). */
const IDR_SLICE = 5;
const SPS = 7;
const PPS = 8;
const ACCESS_UNIT_DELIMITER = 9;
const START_CODE = Uint8Array.of(0, 0, 0, 1);

/** What an AVC stream in MP4 or FLV says ahead of its pictures. */
export interface AvcConfig {
  /** Bytes of the length before each NAL unit: 1, 2 or 4. */
  readonly lengthSize: number;
  /** SPS and PPS, in Annex B. */
  readonly parameterSets: Uint8Array;
}

/**
 * Reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
 *
 *     configurationVersion u(8) = 1
 *     AVCProfileIndication u(8) | profile_compatibility u(8) | AVCLevelIndication u(8)
 *     reserved 111111b | lengthSizeMinusOne u(2)
 *     reserved 111b    | numOfSequenceParameterSets u(5)
 *       each: sequenceParameterSetLength u(16) | sequenceParameterSetNALUnit
 *     numOfPictureParameterSets u(8)
 *       each: pictureParameterSetLength u(16) | pictureParameterSetNALUnit
 *     (profiles from High on add fields that nobody here needs)
 *
 * @returns null when it is none, or is cut short
 */
export function readAvcConfig(record: Uint8Array): AvcConfig | null {
  if (record.length < 7 || record[0] !== 1) return null;
  const lengthSize = (record[4]! & 3) + 1;
  if (lengthSize === 3) return null;
  const units: Uint8Array[] = [];
  let at = 5;
  for (const [mask, type] of [
    [0x1f, SPS],
    [0xff, PPS],
  ] as const) {
    if (at >= record.length) return null;
    const count = record[at++]! & mask;
    if (count === 0) return null;
    for (let index = 0; index < count; index++) {
      if (at + 2 > record.length) return null;
      const end = at + 2 + ((record[at]! << 8) | record[at + 1]!);
      const unit = record.subarray(at + 2, end);
      if (end > record.length || unit.length === 0 || (unit[0]! & 0x1f) !== type) return null;
      units.push(unit);
      at = end;
    }
  }
  return { lengthSize, parameterSets: toAnnexB(units) };
}

export interface AccessUnit {
  /** In Annex B; SPS and PPS come before an IDR picture. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly isKeyframe: boolean;
}

/**
 * Turns length-prefixed NAL units into an access unit of its own memory.
 * @returns null when it is empty or a length leads beyond the end
 */
export function readAccessUnit(bytes: Uint8Array, config: AvcConfig): AccessUnit | null {
  const units: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + config.lengthSize > bytes.length) return null;
    let length = 0;
    for (let index = 0; index < config.lengthSize; index++) length = length * 256 + bytes[at++]!;
    if (at + length > bytes.length) return null;
    if (length > 0) units.push(bytes.subarray(at, at + length));
    at += length;
  }
  return units.length === 0 ? null : accessUnitOf(units, config.parameterSets);
}

/** As `readAccessUnit`, of NAL units that are in Annex B already. @returns null when there is none */
export function readAnnexB(bytes: Uint8Array, parameterSets: Uint8Array): AccessUnit | null {
  const units = splitAnnexB(bytes);
  return units.length === 0 ? null : accessUnitOf(units, parameterSets);
}

/** SPS and PPS that an Annex B access unit holds, in Annex B; empty when it lacks either. */
export function parameterSetsOf(bytes: Uint8Array): Uint8Array {
  const units = splitAnnexB(bytes).filter((unit) => isType(unit, SPS) || isType(unit, PPS));
  const isComplete = units.some((unit) => isType(unit, SPS)) && units.some((unit) => isType(unit, PPS));
  return isComplete ? toAnnexB(units) : new Uint8Array();
}

function accessUnitOf(all: readonly Uint8Array[], parameterSets: Uint8Array): AccessUnit {
  // A delimiter would have to stand before the parameter sets, and says nothing.
  const units = all.filter((unit) => !isType(unit, ACCESS_UNIT_DELIMITER));
  const isKeyframe = units.some((unit) => isType(unit, IDR_SLICE));
  const lacksSets = isKeyframe && !(units.some((unit) => isType(unit, SPS)) && units.some((unit) => isType(unit, PPS)));
  return { data: toAnnexB(units, lacksSets ? parameterSets : new Uint8Array()), isKeyframe };
}

function isType(unit: Uint8Array, type: number): boolean {
  return (unit[0]! & 0x1f) === type;
}

function toAnnexB(units: readonly Uint8Array[], before: Uint8Array = new Uint8Array()): Uint8Array<ArrayBuffer> {
  const size = units.reduce((sum, unit) => sum + START_CODE.length + unit.length, before.length);
  const out = new Uint8Array(size);
  out.set(before);
  let at = before.length;
  for (const unit of units) {
    out.set(START_CODE, at);
    out.set(unit, at + START_CODE.length);
    at += START_CODE.length + unit.length;
  }
  return out;
}

/** ITU-T H.264 annex B: units stand between start codes 00 00 01, with zeroes allowed before them. */
function splitAnnexB(bytes: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const units: Uint8Array[] = [];
  const code = Buffer.of(0, 0, 1);
  for (let start = buffer.indexOf(code); start >= 0; ) {
    const next = buffer.indexOf(code, start + 3);
    let end = next < 0 ? buffer.length : next;
    while (end > start + 3 && buffer[end - 1] === 0) end--;
    if (end > start + 3) units.push(bytes.subarray(start + 3, end));
    start = next;
  }
  return units;
}
