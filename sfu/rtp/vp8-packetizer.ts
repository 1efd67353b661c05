import { randomInt } from 'node:crypto';
import { type EmitPayload, MAX_PAYLOAD_BYTES, type Packetizer } from './packetizer.ts';
import { RTP_HEADER_BYTES } from './rtp-packet.ts';
import { VP8_DESCRIPTOR_BYTES, writeVp8Descriptor } from './vp8-descriptor.ts';

const PICTURE_IDS = 0x8000;

export interface Vp8PacketizerOptions {
  /** Descriptor included. */
  readonly maxPayloadBytes?: number;
  /** 15 bits; grows by one a frame. RFC 7741 §4.2: "SHOULD be initialized to a random value". */
  readonly firstPictureId?: number;
}

/** Cuts VP8 frames into payloads of nearly one size (RFC 7741). */
export class Vp8Packetizer implements Packetizer {
  readonly #maxSliceBytes: number;
  #pictureId: number;

  constructor({
    maxPayloadBytes = MAX_PAYLOAD_BYTES,
    firstPictureId = randomInt(PICTURE_IDS),
  }: Vp8PacketizerOptions = {}) {
    this.#maxSliceBytes = maxPayloadBytes - VP8_DESCRIPTOR_BYTES;
    this.#pictureId = firstPictureId;
  }

  packetize(frame: Uint8Array, emit: EmitPayload): void {
    const slices = Math.ceil(frame.length / this.#maxSliceBytes);
    let start = 0;
    for (let i = 0; i < slices; i++) {
      const end = Math.floor((frame.length * (i + 1)) / slices);
      const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + VP8_DESCRIPTOR_BYTES + end - start);
      writeVp8Descriptor(packet, RTP_HEADER_BYTES, this.#pictureId, i === 0);
      packet.set(frame.subarray(start, end), RTP_HEADER_BYTES + VP8_DESCRIPTOR_BYTES);
      emit(packet, i === slices - 1);
      start = end;
    }
    if (slices > 0) this.#pictureId = (this.#pictureId + 1) % PICTURE_IDS;
  }
}
