import type { types } from 'mediasoup';

const OPUS: types.RouterRtpCodecCapability = {
  kind: 'audio',
  mimeType: 'audio/opus',
  clockRate: 48_000,
  channels: 2,
  parameters: { useinbandfec: 1, usedtx: 0 },
};
const VP8: types.RouterRtpCodecCapability = { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 };

/** Profiles that are taken in; mediasoup tells them apart one by one. */
const H264_PROFILES = [
  '42e01f', // constrained baseline
  '42001f', // baseline
  '4d001f', // main
  '64001f', // high
  '640c1f', // constrained high
] as const;

function h264(profile: string): types.RouterRtpCodecCapability {
  return {
    kind: 'video',
    mimeType: 'video/H264',
    clockRate: 90_000,
    parameters: { 'packetization-mode': 1, 'level-asymmetry-allowed': 1, 'profile-level-id': profile },
  };
}

/** Codecs of every router that publishers reach, and of those that mediasoup-clients watch on. */
export const ROUTER_CODECS: types.RouterRtpCodecCapability[] = [OPUS, VP8, ...H264_PROFILES.map(h264)];
