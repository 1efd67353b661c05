import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLiveApp, type LiveApp } from '../live/live-app.ts';
import { enrolmentForm, enrolPerson, postForm } from './enrol.ts';
import { fakeEmbedding, fakePhoto } from './fake-images.ts';

let live: LiveApp;
beforeEach(async () => {
  live = await createLiveApp();
});
afterEach(() => live.sfu.close());

const ada = fakePhoto({ person: 'Ada' });

describe('erasing', () => {
  test('answers 204, and then there is nobody, in memory neither', async () => {
    const id = await enrolPerson(live, 'Ada');
    const { embeddings } = live.identities.personOf(id)!;
    expect((await live.call('DELETE', `/v1/identities/${id}`)).status).toBe(204);
    for (const path of ['', '/thumbnail'])
      expect((await live.call('GET', `/v1/identities/${id}${path}`)).status).toBe(404);
    expect((await live.call('DELETE', `/v1/identities/${id}`)).status).toBe(404);
    expect(live.people.rows.size).toBe(0);
    expect(live.identities.list(200).entries).toEqual([]);
    for (const embedding of [...embeddings, ...live.images.given])
      expect(embedding.every((value) => value === 0)).toBe(true);
  });

  test('tells the SHA-256 of the photos’ files to what else keeps of them, also after a restart', async () => {
    const id = await enrolPerson(live, 'Ada');
    const again = await createLiveApp({ identities: { store: live.people, vault: live.vault } });
    const told: unknown[] = [];
    again.identities.beforeErasure(async (leaving) => void told.push(leaving));
    await again.call('DELETE', `/v1/identities/${id}`);
    expect(told).toEqual([{ id, photoHashes: [createHash('sha256').update(ada).digest('hex')] }]);
  });

  test('that fails leaves the person, who can be erased again', async () => {
    const id = await enrolPerson(live, 'Ada');
    live.people.failure = new Error('disk full');
    expect((await live.call('DELETE', `/v1/identities/${id}`)).status).toBe(500);
    expect(live.identities.personOf(id)!.embeddings[0]!.some((value) => value !== 0)).toBe(true);
    expect((await live.call('DELETE', `/v1/identities/${id}`)).status).toBe(204);
  });

  test('by several at once is done once', async () => {
    const id = await enrolPerson(live, 'Ada');
    const answers = await Promise.all(Array.from({ length: 4 }, () => live.call('DELETE', `/v1/identities/${id}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404]);
  });
});

describe('access', () => {
  const calls = (id: string): [string, string][] => [
    ['POST', '/v1/identities'],
    ['GET', '/v1/identities'],
    ['GET', `/v1/identities/${id}`],
    ['GET', `/v1/identities/${id}/thumbnail`],
    ['DELETE', `/v1/identities/${id}`],
  ];

  test('a play token opens nothing of it', async () => {
    const id = await enrolPerson(live, 'Ada');
    await live.call('POST', '/v1/streams', { id: 's' });
    const token = await live.playTokens.make('s', new Date(Date.now() + 60_000));
    for (const [method, path] of calls(id)) {
      const { status, body } = await live.call(method, path, undefined, { authorization: `Bearer ${token}` });
      expect([path, status, body.error.code]).toEqual([path, 403, 'forbidden']);
      expect(JSON.stringify(body)).not.toContain('Ada');
    }
  });

  test('without a credential there is none where the server can be reached from elsewhere', async () => {
    live = await createLiveApp({ bind: '0.0.0.0' });
    for (const [method, path] of calls('x')) expect((await live.call(method, path)).status).toBe(401);
  });
});

test('the log at its finest holds no name, no embedding, no photo and no thumbnail', async () => {
  const id = await enrolPerson(live, 'Ada Lovelace');
  await postForm(live, enrolmentForm('Grace Hopper', [fakePhoto()]));
  await live.call('GET', '/v1/identities');
  await live.app.request(`/v1/identities/${id}/thumbnail`);
  await live.call('POST', '/v1/streams', { id: 's', policy: { mode: 'except', identities: [id] } });
  await live.call('DELETE', `/v1/identities/${id}`);
  const log = live.logged.join('\n');
  expect(log).toContain(id);
  const [number] = fakeEmbedding('Ada Lovelace');
  const thumbnail = Buffer.from('thumbnail of Ada Lovelace');
  const secrets = [
    'Ada',
    'Lovelace',
    'Grace',
    'Hopper',
    String(number).slice(0, 8),
    'base64',
    thumbnail.toString('base64').slice(0, 12),
    thumbnail.toString('hex').slice(0, 12),
  ];
  for (const secret of secrets) expect(log).not.toContain(secret);
});
