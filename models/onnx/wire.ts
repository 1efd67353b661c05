import { ModelError } from '../errors.ts';

/** How a field's value is laid out. @see https://protobuf.dev/programming-guides/encoding/#structure */
export const WireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field of a protobuf message. `bytes` and `encoded` are views into the message, not copies. */
export interface WireField {
  number: number;
  wireType: number;
  /** Set for `WireType.varint`, unsigned. */
  varint: bigint;
  /** The payload, for every wire type but varint. */
  bytes: Uint8Array;
  /** The whole field with its tag, to write it back as it was read. */
  encoded: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);
const utf8 = new TextDecoder();

/** Iterates over the fields of one message, in file order. @throws ModelError 'invalid-onnx' */
export function* wireFields(message: Uint8Array): Generator<WireField, undefined> {
  const reader = new WireReader(message);
  while (!reader.done) yield reader.field();
}

class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined)
        throw new ModelError('invalid-onnx', 'ONNX data ends inside a number: the file is cut short');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ModelError('invalid-onnx', 'ONNX data has a number longer than ten bytes: not a protobuf message');
  }

  field(): WireField {
    const start = this.#at;
    const tag = Number(this.varint());
    const wireType = tag & 7;
    const varint = wireType === WireType.varint ? this.varint() : 0n;
    const bytes = wireType === WireType.varint ? NO_BYTES : this.#take(this.#payloadLength(wireType));
    return { number: Math.floor(tag / 8), wireType, varint, bytes, encoded: this.#bytes.subarray(start, this.#at) };
  }

  #payloadLength(wireType: number): number {
    if (wireType === WireType.bytes) return Number(this.varint());
    if (wireType === WireType.fixed32) return 4;
    if (wireType === WireType.fixed64) return 8;
    throw new ModelError('invalid-onnx', `ONNX data has wire type ${wireType}: not a protobuf message`);
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    const missing = end - this.#bytes.length;
    if (missing > 0)
      throw new ModelError('invalid-onnx', `ONNX data ends ${missing} bytes early: the file is cut short`);
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

/** The text of a length-delimited field. */
export function fieldText(field: WireField): string {
  return utf8.decode(field.bytes);
}

/** The signed 64-bit value of a varint field. */
export function fieldInt64(field: WireField): bigint {
  return BigInt.asIntN(64, field.varint);
}

/** The signed 64-bit values of a repeated field, packed or not: a writer may choose either. */
export function fieldInt64s(field: WireField): bigint[] {
  if (field.wireType === WireType.varint) return [fieldInt64(field)];
  const reader = new WireReader(field.bytes);
  const values: bigint[] = [];
  while (!reader.done) values.push(BigInt.asIntN(64, reader.varint()));
  return values;
}

/** The float32 values of a fixed32 field, or of a packed one. */
export function fieldFloats(field: WireField): number[] {
  const view = new DataView(field.bytes.buffer, field.bytes.byteOffset, field.bytes.byteLength);
  return Array.from({ length: field.bytes.length >> 2 }, (_, i) => view.getFloat32(i * 4, true));
}

/** Writes the fields of one protobuf message in the order of the calls, so that equal calls give equal bytes. */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  int64(number: number, value: number | bigint): this {
    return this.#tag(number, WireType.varint).#varint(BigInt.asUintN(64, BigInt(value)));
  }

  float(number: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#tag(number, WireType.fixed32).encoded(bytes);
  }

  text(number: number, value: string): this {
    return this.bytes(number, new TextEncoder().encode(value));
  }

  bytes(number: number, value: Uint8Array): this {
    return this.#tag(number, WireType.bytes).#varint(BigInt(value.length)).encoded(value);
  }

  message(number: number, value: WireWriter): this {
    return this.bytes(number, value.finish());
  }

  /** Appends whole fields that are encoded already. */
  encoded(value: Uint8Array): this {
    this.#parts.push(value);
    this.#length += value.length;
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  #tag(number: number, wireType: number): this {
    return this.#varint(BigInt(number * 8 + wireType));
  }

  #varint(value: bigint): this {
    const bytes: number[] = [];
    let rest = value;
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    return this.encoded(Uint8Array.from(bytes));
  }
}
