/** Codecs of live video, in and out. */
export type VideoCodec = 'vp8' | 'h264';

/** One coded picture of a live stream. */
export interface CodedVideo {
  /** A VP8 frame (RFC 6386), or an H.264 access unit in Annex B with its SPS and PPS before each IDR picture. */
  readonly data: Uint8Array;
  /** When it is shown, in 90 kHz ticks: the RTP timestamp without its wrap, a safe integer. */
  readonly pts: number;
  readonly isKeyframe: boolean;
}

/** One coded packet of sound. */
export interface CodedAudio {
  /** An Opus packet, or a raw AAC frame where the source says AAC. */
  readonly data: Uint8Array;
  /** When it is heard, in 48 kHz ticks whatever the sampling rate, without wrap. */
  readonly pts: number;
}

/** What a source's sound is coded in. */
export type AudioFormat =
  | { readonly codec: 'opus' }
  /** `config` is its AudioSpecificConfig (ISO 14496-3). */
  | { readonly codec: 'aac'; readonly config: Uint8Array };
