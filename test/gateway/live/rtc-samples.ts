/** What mediasoup-client sends, in short. */
export const DTLS_PARAMETERS = {
  role: 'client',
  fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'A7').join(':') }],
};

export const RTP_PARAMETERS = {
  mid: '0',
  codecs: [
    {
      mimeType: 'video/VP8',
      payloadType: 96,
      clockRate: 90_000,
      parameters: {},
      rtcpFeedback: [{ type: 'nack' }, { type: 'nack', parameter: 'pli' }],
    },
    { mimeType: 'video/rtx', payloadType: 97, clockRate: 90_000, parameters: { apt: 96 }, rtcpFeedback: [] },
  ],
  headerExtensions: [{ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 4, encrypt: false, parameters: {} }],
  encodings: [{ ssrc: 4_294_967_295, rtx: { ssrc: 1 }, dtx: false }],
  rtcp: { cname: 'abc', reducedSize: true },
};

export const RTP_CAPABILITIES = {
  codecs: [
    {
      kind: 'video',
      mimeType: 'video/H264',
      preferredPayloadType: 103,
      clockRate: 90_000,
      parameters: { 'packetization-mode': 1, 'profile-level-id': '42e01f' },
      rtcpFeedback: [{ type: 'nack', parameter: '' }],
    },
  ],
  headerExtensions: [
    {
      kind: 'video',
      uri: 'urn:3gpp:video-orientation',
      preferredId: 3,
      preferredEncrypt: false,
      direction: 'sendrecv',
    },
  ],
};
