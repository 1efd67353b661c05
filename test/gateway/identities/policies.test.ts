import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LivePolicy } from '../../../inference/live/live-engine.ts';
import { fakeFace } from '../fake-sfu.ts';
import { createLiveApp, type LiveApp } from '../live/live-app.ts';
import { enrolPerson } from './enrol.ts';
import { fakeEmbedding } from './fake-images.ts';

const BLUR = { style: 'mosaic', strength: 0.5, margin: 0.3, lookaheadFrames: 3 };

let live: LiveApp;
let ada: string;
let bob: string;
beforeEach(async () => {
  live = await createLiveApp();
  ada = await enrolPerson(live, 'Ada');
  bob = await enrolPerson(live, 'Bob', { person: 'Bob with glasses' });
});
afterEach(() => live.sfu.close());

const make = (policy: object, id = 's') => live.call('POST', '/v1/streams', { id, policy });
const change = (policy: object, id = 's') => live.call('PATCH', `/v1/streams/${id}`, { policy });
const erase = (id: string) => live.call('DELETE', `/v1/identities/${id}`);
const engineOf = (id = 's'): LivePolicy => live.sfu.stream(id).settings.policy;
const told = async (id = 's') => {
  const { policy, policyReason } = (await live.call('GET', `/v1/streams/${id}`)).body;
  return { mode: policy.mode, identities: policy.identities, reason: policyReason };
};
/** As a new process finds it. */
const restart = (options: Parameters<typeof createLiveApp>[0] = {}) =>
  createLiveApp({
    store: live.store,
    ...options,
    identities: { store: live.people, vault: live.vault, ...options.identities },
  });

const EMBEDDINGS = { ada: [fakeEmbedding('Ada')], bob: [fakeEmbedding('Bob'), fakeEmbedding('Bob with glasses')] };

describe('a policy that names people', () => {
  test.each(['except', 'only'])('%s: is answered as the contract has it, and engines get embeddings', async (mode) => {
    const { status, body } = await make({ mode, identities: [bob, ada] });
    expect([status, body.policy, body.policyReason]).toEqual([201, { mode, identities: [bob, ada], ...BLUR }, null]);
    expect(engineOf()).toEqual({
      ...BLUR,
      people: {
        mode,
        recogniser: 'face-recogniser',
        people: [
          { id: bob, embeddings: EMBEDDINGS.bob },
          { id: ada, embeddings: EMBEDDINGS.ada },
        ],
      },
    });
    expect(live.store.rows.get('s')!.policy).toEqual({ mode, identities: [bob, ada], ...BLUR });
  });

  test('reaches a running stream when it is changed, and again when it is changed back', async () => {
    await make({});
    expect(engineOf()).toEqual(BLUR);
    await change({ mode: 'except', identities: [ada] });
    expect(engineOf().people).toMatchObject({ mode: 'except', people: [{ id: ada }] });
    await change({ identities: [ada, bob] });
    expect(engineOf().people!.people.map(({ id }) => id)).toEqual([ada, bob]);
    await change({ mode: 'only' });
    expect(engineOf().people).toMatchObject({ mode: 'only' });
    await change({ strength: 1 });
    expect(engineOf()).toMatchObject({ strength: 1, people: { mode: 'only' } });
    await change({ mode: 'all' });
    expect(engineOf()).toEqual({ ...BLUR, strength: 1 });
    expect(live.sfu.stream('s').updates).toHaveLength(5);
  });

  test('twice names them once', async () => {
    expect((await make({ mode: 'except', identities: [ada, bob, ada] })).body.policy.identities).toEqual([ada, bob]);
  });

  test('who are not enrolled is answered 422 by the field, changes nothing and tells nothing of others', async () => {
    await make({ mode: 'except', identities: [ada] });
    for (const { status, body } of [
      await change({ identities: [ada, 'nobody', bob] }),
      await make({ identities: ['x'] }, 't'),
    ]) {
      expect([status, body.error.code]).toEqual([422, 'unprocessable']);
      expect(body.error.message).toMatch(/^policy\.identities\.[01]: nobody is enrolled by this id$/);
    }
    expect(await told()).toEqual({ mode: 'except', identities: [ada], reason: null });
    expect(live.store.rows.size).toBe(1);
  });

  test('of nobody covers everybody: except, and only', async () => {
    await make({ mode: 'except' });
    expect(engineOf()).toEqual(BLUR);
    await make({ mode: 'only' }, 't');
    expect(engineOf('t')).toEqual(BLUR);
    expect(await told('t')).toEqual({
      mode: 'only',
      identities: [],
      reason: 'only names nobody: everybody is covered',
    });
  });

  test('is restored with its people after a restart', async () => {
    await make({ mode: 'only', identities: [bob] });
    const again = await restart();
    expect(again.sfu.stream('s').settings.policy).toEqual({
      ...BLUR,
      people: { mode: 'only', recogniser: 'face-recogniser', people: [{ id: bob, embeddings: EMBEDDINGS.bob }] },
    });
    expect(again.sfu.stream('s').updates).toEqual([]);
  });
});

describe('erasing a person', () => {
  test('takes them out of every stream before it is answered; others stay listed', async () => {
    await make({ mode: 'except', identities: [ada, bob] }, 'a');
    await make({ mode: 'except', identities: [ada] }, 'b');
    await make({ mode: 'all', identities: [ada] }, 'c');
    await make({ mode: 'except', identities: [bob] }, 'd');
    expect((await erase(ada)).status).toBe(204);
    expect(engineOf('a').people!.people.map(({ id }) => id)).toEqual([bob]);
    expect(engineOf('b')).toEqual(BLUR);
    for (const [stream, mode, identities] of [
      ['a', 'except', [bob]],
      ['b', 'except', []],
      ['c', 'all', []],
      ['d', 'except', [bob]],
    ] as const) {
      expect(await told(stream)).toEqual({ mode, identities, reason: null });
      expect(live.store.rows.get(stream)!.policy).toMatchObject({ mode, identities });
    }
    expect(live.sfu.stream('d').updates).toEqual([]);
  });

  test.each([
    ['alone', () => [ada], []],
    ['among others', () => [ada, bob], [1]],
  ])(
    'whom only was to cover, %s, never uncovers them: everybody is covered, and that is told',
    async (_how, listed, left) => {
      await make({ mode: 'only', identities: listed() });
      await erase(ada);
      expect(engineOf()).toEqual(BLUR);
      const reason = 'a person whom only named was erased: everybody is covered';
      expect(await told()).toEqual({ mode: 'all', identities: left.map((i) => listed()[i]), reason });
      expect(live.store.rows.get('s')!.policy.mode).toBe('all');
      const lines = live.logged
        .filter((line) => line.includes('person erased from policy'))
        .map((line) => JSON.parse(line));
      expect(lines).toMatchObject([{ streamId: 's', identity: ada, mode: 'all', reason }]);
      await change({ mode: 'except' });
      expect((await told()).reason).toBeNull();
    },
  );

  test.each([
    ['made', () => make({ mode: 'only', identities: [ada] }, 'made')],
    ['changed', () => change({ mode: 'only', identities: [ada] }, 'there')],
  ])('while a stream that names them is being %s waits for it, and takes them out', async (_what, write) => {
    await make({}, 'there');
    const gate = Promise.withResolvers<void>();
    live.store.gate = gate.promise;
    const { writes } = live.store;
    const written = write();
    await vi.waitFor(() => expect(live.store.writes).toBe(writes + 1));
    const erased = erase(ada);
    await vi.waitFor(() => expect(live.identities.has(ada)).toBe(false));
    expect((await make({ mode: 'except', identities: [ada] }, 'later')).status).toBe(422);
    gate.resolve();
    expect([200, 201]).toContain((await written).status);
    expect((await erased).status).toBe(204);
    for (const { live: stream, policy } of live.streams.list(10).entries) {
      expect([policy.identities, stream.settings.policy.people]).toEqual([[], undefined]);
      expect(live.store.rows.get(stream.id)!.policy).toMatchObject({ mode: 'all', identities: [] });
    }
  });

  test('of a stream that is deleted meanwhile goes on', async () => {
    await make({ mode: 'only', identities: [ada] });
    const [erased, deleted] = await Promise.all([erase(ada), live.call('DELETE', '/v1/streams/s')]);
    expect([erased.status, deleted.status]).toEqual([204, 204]);
  });

  test('that a stream’s row can’t be changed for is not done: the person stays, and so does the policy', async () => {
    await make({ mode: 'only', identities: [ada] });
    live.store.failure = new Error('disk full');
    expect((await erase(ada)).status).toBe(500);
    expect(live.identities.personOf(ada)).not.toBeNull();
    expect(engineOf().people).toMatchObject({ mode: 'only', people: [{ id: ada }] });
    expect((await erase(ada)).status).toBe(204);
    expect(engineOf()).toEqual(BLUR);
  });

  test('by a process that died before it told the streams is made up for at the start', async () => {
    await make({ mode: 'only', identities: [ada, bob] }, 'a');
    await make({ mode: 'except', identities: [ada, bob] }, 'b');
    live.people.rows.delete(ada);
    const again = await restart();
    expect(again.sfu.stream('a').settings.policy).toEqual(BLUR);
    expect(again.sfu.stream('b').settings.policy.people!.people.map(({ id }) => id)).toEqual([bob]);
    expect(live.store.rows.get('a')!.policy).toMatchObject({ mode: 'all', identities: [bob] });
    expect(live.store.rows.get('b')!.policy).toMatchObject({ mode: 'except', identities: [bob] });
  });
});

describe('people of another recogniser', () => {
  const recogniser = { name: 'arcface', sha256: 'cd'.repeat(32) };

  test('are shown by none and covered by all: except leaves them out, only covers everybody, both say so', async () => {
    await make({ mode: 'except', identities: [ada, bob] }, 'a');
    await make({ mode: 'only', identities: [ada] }, 'b');
    const again = await restart({ identities: { recogniser } });
    for (const id of ['a', 'b']) {
      expect(again.sfu.stream(id).settings.policy).toEqual(BLUR);
      const { body } = await again.call('GET', `/v1/streams/${id}`);
      expect(body.policyReason).toMatch(/can not be recognised and must be enrolled anew/);
    }
    // What is stored is what was asked for.
    expect(live.store.rows.get('b')!.policy).toMatchObject({ mode: 'only', identities: [ada] });
    // They may stay listed when something else is changed, but not be listed anew.
    expect((await again.call('PATCH', '/v1/streams/b', { policy: { strength: 1 } })).status).toBe(200);
    const { status, body } = await again.call('PATCH', '/v1/streams/b', { policy: { identities: [ada, bob] } });
    expect([status, body.error.message]).toEqual([
      422,
      expect.stringMatching(/^policy\.identities\.1: .*another recogniser/),
    ]);
  });

  test('beside people of this one: only still covers everybody, except shows who can be recognised', async () => {
    const row = live.people.rows.get(ada)!;
    live.people.rows.set(ada, { ...row, modelSha256: recogniser.sha256 });
    await make({ mode: 'except', identities: [ada, bob] }, 'a');
    await make({ mode: 'only', identities: [ada, bob] }, 'b');
    const again = await restart();
    expect(again.sfu.stream('a').settings.policy.people!.people.map(({ id }) => id)).toEqual([bob]);
    expect(again.sfu.stream('b').settings.policy).toEqual(BLUR);
  });
});

describe('faces on screen', () => {
  const face = (id: string) => ({
    ...fakeFace(1),
    identity: { id, similarity: 0.96 },
    visible: true,
    reason: 'match' as const,
  });

  test('tell who they are, and why they are seen', async () => {
    await make({ mode: 'except', identities: [ada] });
    live.sfu.stream('s').latestFaces = [face(ada), fakeFace(2)];
    const { body } = await live.call('GET', '/v1/streams/s/faces');
    expect(body.items).toMatchObject([
      { track: 1, identity: { id: ada, name: 'Ada', similarity: 0.96 }, visible: true, reason: 'match' },
      { track: 2, identity: null, visible: false, reason: 'policy' },
    ]);
  });

  test('of somebody erased a moment ago are nobody’s', async () => {
    await make({ mode: 'except', identities: [ada] });
    live.sfu.stream('s').latestFaces = [face(ada)];
    await erase(ada);
    const { body } = await live.call('GET', '/v1/streams/s/faces');
    expect(body.items[0].identity).toBeNull();
    expect(JSON.stringify(body)).not.toContain('Ada');
  });
});
