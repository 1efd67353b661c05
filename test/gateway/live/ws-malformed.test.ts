import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MALFORMED, seededRandom } from './malformed-messages.ts';
import { startWsServer, type WsClient, type WsServer } from './ws-server.ts';

const MESSAGES_A_KIND = 700;
/** Broken frames, each on a connection of its own. */
const BROKEN_FRAMES = 300;

let server: WsServer;
beforeEach(async () => {
  server = await startWsServer({ ws: { limits: { messagesPerSecond: 1_000_000 } } });
  await server.streams.create({ id: 'a' });
  server.sfu.stream('a').goLive();
});
afterEach(() => server.close());

const ERROR = { code: expect.stringMatching(/^[a-z-]+$/), message: expect.stringMatching(/^[^\n]{1,400}$/) };

/** Every answer, in the contract's shape; events are not among them. */
function answersOf(client: WsClient): { id: unknown; ok: boolean }[] {
  const answers = client.heard.filter((message) => 'ok' in message);
  for (const answer of answers) {
    if (answer.ok) expect(['string', 'number']).toContain(typeof answer.id);
    else expect(answer).toEqual({ id: answer.id, ok: false, error: ERROR });
    expect(JSON.stringify(answer)).not.toMatch(/\.ts\b|node_modules|\/work|at Object/);
  }
  return answers;
}

test.each(Object.keys(MALFORMED))(`${MESSAGES_A_KIND} messages of the kind “%s” are each answered`, async (kind) => {
  const random = seededRandom(Object.keys(MALFORMED).indexOf(kind) + 1);
  const client = await server.connect();
  for (let sent = 0; sent < MESSAGES_A_KIND; sent++) client.socket.send(MALFORMED[kind]!(random));
  expect((await client.request({ type: 'auth', token: 'x' })).ok).toBe(true);
  const answers = answersOf(client);
  expect(answers).toHaveLength(MESSAGES_A_KIND + 1);
  // A change may leave a message valid; most must not.
  expect(answers.filter(({ ok }) => !ok).length).toBeGreaterThan(MESSAGES_A_KIND / 2);
  expect(({} as Record<string, unknown>).type).toBeUndefined();
  // What we are to blame for is logged as such; nothing of this is.
  expect(server.logged.filter((line) => line.includes('message failed'))).toEqual([]);
});

test('the kinds are more than 5000 messages together', () => {
  expect(Object.keys(MALFORMED).length * MESSAGES_A_KIND).toBeGreaterThanOrEqual(5000);
});

test(`${BROKEN_FRAMES} connections that break the protocol are ended, and no other`, async () => {
  const random = seededRandom(99);
  const witness = await server.connect();
  await witness.request({ type: 'subscribe', topic: 'stream:a' });
  for (let index = 0; index < BROKEN_FRAMES; index++) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    await once(socket, 'data');
    const closed = once(socket, 'close');
    socket.resume();
    socket.write(brokenFrame(random));
    socket.end();
    await closed;
  }
  expect((await witness.request({ type: 'auth', token: 'x' })).ok).toBe(true);
  expect(witness.closed).toBeNull();
  expect(server.sfu.stream('a').observers.size).toBe(1);
});

/** RFC 6455 §5.2, but unmasked, with reserved bits, an unknown opcode, a lie about its length, or bytes without sense. */
function brokenFrame(random: () => number): Buffer {
  const kind = Math.floor(random() * 5);
  const body = Buffer.from(Array.from({ length: 1 + random() * 60 }, () => random() * 256));
  if (kind === 0) return Buffer.concat([Buffer.from([0x81, body.length]), body]);
  if (kind === 1) return Buffer.concat([Buffer.from([0xf1, 0x80 | body.length, 1, 2, 3, 4]), body]);
  if (kind === 2) return Buffer.concat([Buffer.from([0x83 + Math.floor(random() * 5), 0x80 | body.length]), body]);
  if (kind === 3) return Buffer.concat([Buffer.from([0x81, 0xff, 0x7f]), Buffer.alloc(7, 0xff), body]);
  return body;
}
