/**
 * Takes one RTP packet: a buffer of its own, with `RTP_HEADER_BYTES` left free at its start for the header.
 * `isLast` is said of the frame's last, which carries the marker.
 */
export type EmitPayload = (packet: Buffer, isLast: boolean) => void;

/** Cuts one stream's coded frames into RTP payloads. */
export interface Packetizer {
  /** Borrows `frame`; emits before it returns. */
  packetize(frame: Uint8Array, emit: EmitPayload): void;
}

/**
 * Most bytes of a payload. With its header, SRTP's tag and the extensions that an SFU adds, a packet stays below the
 * 1,280 bytes that every IPv6 link carries, IP and UDP headers included.
 */
export const MAX_PAYLOAD_BYTES = 1180;
