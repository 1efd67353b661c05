/** C0, C1 and C2 of the plain handshake (RTMP 1.0 §5.2). */
export const HANDSHAKE: Buffer = Buffer.concat([Buffer.of(3), Buffer.alloc(1536, 7), Buffer.alloc(1536, 9)]);

/** One message in one chunk stream, cut into chunks of 128 bytes (RTMP 1.0 §5.3.1, type 0 and then 3). */
export function message(type: number, payload: Buffer, { chunkStream = 3, streamId = 0, timestamp = 0 } = {}): Buffer {
  const header = Buffer.alloc(12);
  header[0] = chunkStream;
  header.writeUIntBE(timestamp, 1, 3);
  header.writeUIntBE(payload.length, 4, 3);
  header[7] = type;
  header.writeUInt32LE(streamId, 8);
  const parts: Buffer[] = [header];
  for (let at = 0; at < payload.length; at += 128) {
    if (at > 0) parts.push(Buffer.of(0xc0 | chunkStream));
    parts.push(payload.subarray(at, at + 128));
  }
  return Buffer.concat(parts);
}

export const connectCommand = (app: string): Buffer =>
  message(
    20,
    Buffer.concat([
      ...[text('connect'), number(1), Buffer.of(3), property('app'), text(app)],
      ...[property('tcUrl'), text(`rtmp://127.0.0.1/${app}`), Buffer.of(0, 0, 9)],
    ]),
  );

export const createStreamCommand = (): Buffer =>
  message(20, Buffer.concat([text('createStream'), number(2), Buffer.of(5)]));

export const publishCommand = (name: string): Buffer =>
  message(20, Buffer.concat([text('publish'), number(3), Buffer.of(5), text(name), text('live')]), { streamId: 1 });

/** AMF0 (§2.4, §2.2, §2.5): a string, a number, the name of a property. */
export function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(2), property(value)]);
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

export function property(name: string): Buffer {
  const bytes = Buffer.from(name);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
