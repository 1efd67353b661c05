import { z } from 'zod';

/** Most a browser's offer has of any of these, and room to spare. */
const MAX_CODECS = 64;
const MAX_EXTENSIONS = 64;
const MAX_FEEDBACK = 32;
const MAX_ENCODINGS = 8;
const MAX_FINGERPRINTS = 8;
const MAX_CODEC_PARAMETERS = 64;

const name = z.string().min(1).max(128);
const payloadType = z.int().min(0).max(127);
const clockRate = z.int().min(1).max(1_000_000);
const ssrc = z.int().min(0).max(0xffffffff);
/** RFC 8285 §4.3: with two-byte headers the local identifier goes to 255. */
const extensionId = z.int().min(1).max(255);

const codecParameters = z
  .record(
    z
      .string()
      .max(64)
      .regex(/^[\w./-]+$/),
    z.union([z.string().max(512), z.number(), z.boolean()]),
  )
  .refine((entries) => Object.keys(entries).length <= MAX_CODEC_PARAMETERS, 'has too many entries');

const codec = {
  mimeType: z
    .string()
    .max(64)
    .regex(/^(audio|video)\/[\w.+-]+$/i, 'must be a media type of audio or video'),
  clockRate,
  channels: z.int().min(1).max(32).optional(),
  parameters: codecParameters.optional(),
  rtcpFeedback: z
    .array(z.object({ type: z.string().max(64), parameter: z.string().max(64).optional() }))
    .max(MAX_FEEDBACK)
    .optional(),
};

export const mediaKind = z.enum(['audio', 'video']);

/** mediasoup's DtlsParameters. */
export const dtlsParameters = z.object({
  role: z.enum(['auto', 'client', 'server']).optional(),
  fingerprints: z
    .array(
      z.object({
        algorithm: z.enum(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512']),
        value: z
          .string()
          .max(256)
          .regex(/^[0-9a-f]{2}(:[0-9a-f]{2})+$/i, 'must be bytes in hexadecimal, colons between'),
      }),
    )
    .min(1)
    .max(MAX_FINGERPRINTS),
});

/** mediasoup's RtpParameters, without what it does not know. */
export const rtpParameters = z.object({
  mid: name.optional(),
  codecs: z
    .array(z.object({ ...codec, payloadType }))
    .min(1)
    .max(MAX_CODECS),
  headerExtensions: z
    .array(
      z.object({ uri: name, id: extensionId, encrypt: z.boolean().optional(), parameters: codecParameters.optional() }),
    )
    .max(MAX_EXTENSIONS)
    .optional(),
  encodings: z
    .array(
      z.object({
        ssrc: ssrc.optional(),
        rid: name.optional(),
        codecPayloadType: payloadType.optional(),
        rtx: z.object({ ssrc }).optional(),
        dtx: z.boolean().optional(),
        scalabilityMode: name.optional(),
        maxBitrate: z.int().min(0).max(0xffffffff).optional(),
      }),
    )
    .max(MAX_ENCODINGS)
    .optional(),
  rtcp: z.object({ cname: z.string().max(256).optional(), reducedSize: z.boolean().optional() }).optional(),
  msid: z.string().max(256).optional(),
});

/** mediasoup's RtpCapabilities, without what it does not know. */
export const rtpCapabilities = z.object({
  codecs: z
    .array(z.object({ ...codec, kind: mediaKind, preferredPayloadType: payloadType.optional() }))
    .max(MAX_CODECS)
    .optional(),
  headerExtensions: z
    .array(
      z.object({
        kind: mediaKind,
        uri: name,
        preferredId: extensionId,
        preferredEncrypt: z.boolean().optional(),
        direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']).optional(),
      }),
    )
    .max(MAX_EXTENSIONS)
    .optional(),
});
