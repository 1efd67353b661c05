/** What stands before the VP8 bytes in each RTP payload. Optional fields are −1 where they are left out. */
export interface Vp8Descriptor {
  /** Bytes that the descriptor takes. */
  readonly bytes: number;
  /** S: the payload begins a partition. */
  readonly startsPartition: boolean;
  /** PID: which partition that is; 0 begins the frame. */
  readonly partition: number;
  /** N: no other frame depends on it. */
  readonly isNonReference: boolean;
  /** 7 or 15 bits. */
  readonly pictureId: number;
  readonly tl0PicIdx: number;
  readonly temporalLayer: number;
  readonly isLayerSync: boolean;
  readonly keyIdx: number;
}

/**
 *           0 1 2 3 4 5 6 7
 *          +-+-+-+-+-+-+-+-+
 *          |X|R|N|S|R| PID |
 *          +-+-+-+-+-+-+-+-+
 *     X:   |I|L|T|K| RSV   |
 *          +-+-+-+-+-+-+-+-+
 *     I:   |M| PictureID   |
 *          +-+-+-+-+-+-+-+-+
 *     M:   |   PictureID   |
 *          +-+-+-+-+-+-+-+-+
 *     L:   |   TL0PICIDX   |
 *          +-+-+-+-+-+-+-+-+
 *     T/K: |TID|Y| KEYIDX  |
 *          +-+-+-+-+-+-+-+-+
 *
 * @returns null where it is cut short, or where no VP8 byte follows it
 * @see RFC 7741 §4.2
 */
export function parseVp8Descriptor(payload: Uint8Array): Vp8Descriptor | null {
  const length = payload.length;
  if (length < 2) return null;
  const first = payload[0];
  let at = 1;
  let pictureId = -1;
  let tl0PicIdx = -1;
  let temporalLayer = -1;
  let isLayerSync = false;
  let keyIdx = -1;
  if ((first & 0x80) !== 0) {
    const has = payload[at++];
    if ((has & 0x80) !== 0) {
      if (at >= length) return null;
      pictureId = payload[at++];
      if ((pictureId & 0x80) !== 0) {
        if (at >= length) return null;
        pictureId = ((pictureId & 0x7f) << 8) | payload[at++];
      }
    }
    if ((has & 0x40) !== 0) {
      if (at >= length) return null;
      tl0PicIdx = payload[at++];
    }
    if ((has & 0x30) !== 0) {
      if (at >= length) return null;
      const layer = payload[at++];
      if ((has & 0x20) !== 0) temporalLayer = layer >> 6;
      isLayerSync = (has & 0x20) !== 0 && (layer & 0x20) !== 0;
      if ((has & 0x10) !== 0) keyIdx = layer & 0x1f;
    }
  }
  if (at >= length) return null;
  return {
    bytes: at,
    startsPartition: (first & 0x10) !== 0,
    partition: first & 0x07,
    isNonReference: (first & 0x20) !== 0,
    pictureId,
    tl0PicIdx,
    temporalLayer,
    isLayerSync,
    keyIdx,
  };
}

/** Bytes of the descriptor that `writeVp8Descriptor` writes. */
export const VP8_DESCRIPTOR_BYTES = 4;

/** Writes a descriptor with a 15-bit PictureID, as each packet of a frame carries it. */
export function writeVp8Descriptor(packet: Buffer, at: number, pictureId: number, startsFrame: boolean): void {
  packet[at] = 0x80 | (startsFrame ? 0x10 : 0);
  packet[at + 1] = 0x80;
  packet[at + 2] = 0x80 | (pictureId >> 8);
  packet[at + 3] = pictureId;
}
