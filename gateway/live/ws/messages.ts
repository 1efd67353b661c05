import { z } from 'zod';
import { GatewayError } from '../../errors.ts';
import { parse, streamId } from '../schemas.ts';
import { dtlsParameters, mediaKind, rtpCapabilities, rtpParameters } from './rtc-schemas.ts';

const requestId = z.union([z.string().max(64), z.int()], 'must be a string of at most 64 characters or a whole number');
/** Of something that mediasoup made. */
const partId = z.string().min(1).max(64);
const topic = z
  .string()
  .max(80)
  .regex(/^[a-z]+:[a-z0-9-]{1,64}$/i, 'must be stream:ID or job:ID');

const envelope = { id: requestId.optional() };
const message = <const Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) =>
  z.object({ ...envelope, type: z.literal(type), ...shape });

/** What a client may send, by `type`. Fields that are not named here are ignored. */
const MESSAGES = {
  auth: message('auth', { token: z.string().min(1).max(512) }),
  subscribe: message('subscribe', { topic }),
  unsubscribe: message('unsubscribe', { topic }),
  'rtc.capabilities': message('rtc.capabilities', { stream: streamId }),
  'rtc.createTransport': message('rtc.createTransport', {
    stream: streamId,
    direction: z.enum(['send', 'recv']),
    raw: z.boolean().default(false),
  }),
  'rtc.connect': message('rtc.connect', { transport: partId, dtlsParameters }),
  'rtc.produce': message('rtc.produce', {
    transport: partId,
    kind: mediaKind,
    rtpParameters,
    key: z.string().min(1).max(512),
  }),
  'rtc.consume': message('rtc.consume', {
    stream: streamId,
    kind: mediaKind,
    rtpCapabilities,
    raw: z.boolean().default(false),
  }),
  'rtc.resume': message('rtc.resume', { consumer: partId }),
  'rtc.close': message('rtc.close', {
    transport: partId.optional(),
    producer: partId.optional(),
    consumer: partId.optional(),
    stream: streamId.optional(),
  }).refine(
    ({ transport, producer, consumer, stream }) =>
      [transport, producer, consumer, stream].filter((part) => part !== undefined).length === 1,
    'must name one transport, producer, consumer or stream',
  ),
} as const;

type Messages = typeof MESSAGES;
/** A checked message. */
export type ClientMessage = { [Type in keyof Messages]: z.infer<Messages[Type]> }[keyof Messages];
export type MessageOf<Type extends keyof Messages> = z.infer<Messages[Type]>;
export type RequestId = z.infer<typeof requestId>;

/**
 * Reads one frame's text.
 * @throws GatewayError 'bad-request'
 */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GatewayError('bad-request', 'the message is not JSON', { cause: error });
  }
}

/** The `id` that a message asks to be answered by, as far as there is a usable one. */
export function requestIdOf(value: unknown): RequestId | null {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'id')) return null;
  return requestId.safeParse((value as { id: unknown }).id).data ?? null;
}

/** @throws GatewayError 'bad-request' that says what is wrong and where */
export function readMessage(value: unknown): ClientMessage {
  const { type } = parse(z.object({ type: z.string().max(64) }), value);
  if (!Object.hasOwn(MESSAGES, type)) {
    throw new GatewayError('bad-request', `type: must be one of ${Object.keys(MESSAGES).join(', ')}`);
  }
  return parse<ClientMessage>(MESSAGES[type as keyof Messages], value);
}
