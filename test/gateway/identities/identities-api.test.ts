import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { InferenceError } from '../../../inference/errors.ts';
import { createLiveApp, type LiveApp } from '../live/live-app.ts';
import { enrolmentForm, enrolPerson, postForm } from './enrol.ts';
import { type FakeFace, fakeEmbedding, fakePhoto } from './fake-images.ts';

let live: LiveApp;
beforeEach(async () => {
  live = await createLiveApp();
});
afterEach(() => live.sfu.close());

const ada = fakePhoto({ person: 'Ada' });
const enrol = (name: string | null, photos: readonly Uint8Array[], field?: string) =>
  postForm(live, enrolmentForm(name, photos, field));
const nothingStored = () => {
  expect(live.people.rows.size).toBe(0);
  expect(live.identities.list(200).entries).toEqual([]);
};

describe('enrolling', () => {
  test('answers 201 with all that the contract names', async () => {
    const photos = [0.3, 0.9, 0.6].map((quality) => fakePhoto({ person: 'Ada', quality }));
    const { status, body, headers } = await enrol('  Ada Lovelace ', photos);
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`/v1/identities/${body.id}`);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      id: expect.stringMatching(/^[a-z0-9-]{1,64}$/),
      name: 'Ada Lovelace',
      images: [
        { index: 0, quality: 0.3, accepted: true },
        { index: 1, quality: 0.9, accepted: true },
        { index: 2, quality: 0.6, accepted: true },
      ],
      model: 'face-recogniser',
      usable: true,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    });
    expect((await live.call('GET', `/v1/identities/${body.id}`)).body).toEqual(body);
  });

  test('takes photos as images[] and as images, and keeps their order', async () => {
    const form = enrolmentForm('Ada', [fakePhoto({ quality: 0.1 })]);
    form.append('images', new Blob([Uint8Array.from(fakePhoto({ quality: 0.2 }))]), 'b.jpg');
    form.append('images[]', new Blob([Uint8Array.from(fakePhoto({ quality: 0.3 }))]), 'c.jpg');
    const { body } = await postForm(live, form);
    expect(body.images.map(({ quality }: { quality: number }) => quality)).toEqual([0.1, 0.2, 0.3]);
  });

  test('of twenty photos is possible, and of one-and-twenty is not', async () => {
    expect((await enrol('Ada', new Array(20).fill(ada))).status).toBe(201);
    const { status, body } = await enrol('Ada', new Array(21).fill(ada));
    expect([status, body.error.code]).toEqual([400, 'bad-request']);
    expect(live.people.rows.size).toBe(1);
  });

  test('says of each photo why it can’t be used, in both places, and stores nothing', async () => {
    const photos = [
      ada,
      fakePhoto(),
      fakePhoto({ person: 'Ada' }, { person: 'Bob' }),
      fakePhoto({ refusal: 'too-small' }),
      fakePhoto({ refusal: 'too-blurred' }),
      fakePhoto({ refusal: 'turned' }),
      fakePhoto({ refusal: 'unsure' }),
      fakePhoto({ refusal: 'no-landmarks' }),
      Buffer.from('%PDF-1.7'),
    ];
    const { status, body } = await enrol('Ada', photos);
    expect([status, body.error.code]).toEqual([422, 'unprocessable']);
    const codes = [
      'no-face',
      'several-faces',
      'too-small',
      'too-blurred',
      'no-face',
      'no-face',
      'no-face',
      'not-an-image',
    ];
    const details = codes.map((code, i) => ({ index: i + 1, code, message: expect.any(String) }));
    expect(body.details).toEqual(details);
    expect(body.error.details).toEqual(details);
    nothingStored();
  });

  test.each<[string, FakeFace[], number]>([
    ['somebody small behind', [{ side: 200 }, { side: 130 }, { side: 40 }], 201],
    ['somebody as near', [{ side: 200 }, { side: 135 }], 422],
    ['the other one first', [{ side: 135 }, { side: 200 }], 422],
    ['what may be a face, as large', [{ side: 200 }, { side: 200, score: 0.55 }], 201],
    ['a group of forty', Array.from({ length: 40 }, () => ({ side: 50 })), 422],
    ['a blurred one in front of a good one', [{ side: 200, refusal: 'too-blurred' }, { side: 100 }], 422],
  ])('a photo with %s', async (_what, faces, status) => {
    expect((await enrol('Ada', [fakePhoto(...faces)])).status).toBe(status);
  });

  test('is of the largest face', async () => {
    const photo = fakePhoto({ person: 'behind', side: 50 }, { person: 'Ada', side: 100 });
    const { body } = await enrol('Ada', [photo]);
    expect(live.identities.personOf(body.id)!.embeddings).toEqual([fakeEmbedding('Ada')]);
  });

  test.each([
    ['none', null],
    ['an empty one', ''],
    ['spaces', '   '],
    ['a long one', 'x'.repeat(201)],
    ['a line break', 'Ada\nLovelace'],
    ['a null', 'Ada\u0000'],
    ['one that turns what follows', 'Ada\u202e'],
  ])('with %s as the name is refused', async (_what, name) => {
    const { status, body } = await enrol(name, [ada]);
    expect([status, body.error.code]).toEqual([400, 'bad-request']);
    expect(body.error.message).toMatch(/^name: /);
    nothingStored();
  });

  test.each(['x'.repeat(200), 'Zoë 👩‍🔬', '李', "O'Neil; drop table identities", '<script>'])(
    'takes the name %s',
    async (name) => {
      expect((await enrol(name, [ada])).body.name).toBe(name);
    },
  );

  test('without photos, with text for one, with two names or another field is refused', async () => {
    const forms = [
      enrolmentForm('Ada', []),
      enrolmentForm('Ada', [ada]),
      enrolmentForm('Ada', [ada]),
      enrolmentForm('Ada', [ada]),
    ];
    forms[1]!.append('images[]', 'text');
    forms[2]!.append('name', 'Bob');
    forms[3]!.append('age', '42');
    for (const form of forms) {
      expect(await postForm(live, form)).toMatchObject({ status: 400, body: { error: { code: 'bad-request' } } });
    }
    nothingStored();
  });

  test('by another type than a form is answered 415', async () => {
    const answer = await live.call('POST', '/v1/identities', { name: 'Ada' });
    expect([answer.status, answer.body.error.code]).toEqual([415, 'unsupported-media-type']);
  });

  test('leaves nothing where the engine or the store fails, and goes on', async () => {
    live.images.failure = new InferenceError('model-unusable', '/home/someone/model.onnx is damaged');
    const unusable = await enrol('Ada', [ada]);
    expect([unusable.status, unusable.body.error.code, unusable.headers.has('retry-after')]).toEqual([
      503,
      'not-ready',
      true,
    ]);
    expect(unusable.body.error.message).not.toContain('onnx');
    live.images.failure = new InferenceError('child-died', 'the process that read it died');
    expect((await enrol('Ada', [ada])).status).toBe(500);
    live.people.failure = new Error('disk full');
    expect((await enrol('Ada', [ada])).status).toBe(500);
    nothingStored();
    expect((await enrol('Ada', [ada])).status).toBe(201);
  });

  test('ends at the bound, also for those who come at once', async () => {
    live = await createLiveApp({ identities: { maxIdentities: 2 } });
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => enrol(name, [ada])));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 429]);
    expect(Number(answers.find(({ status }) => status === 429)!.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test('of more people at once than memory is kept for is answered 429', async () => {
    const gate = Promise.withResolvers<void>();
    live.images.gate = gate.promise;
    const first = ['a', 'b', 'c', 'd'].map((name) => enrol(name, [ada]));
    await vi.waitFor(() => expect(live.images.asked).toBe(4));
    const { status, headers } = await enrol('e', [ada]);
    expect([status, headers.has('retry-after')]).toEqual([429, true]);
    gate.resolve();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect((await enrol('e', [ada])).status).toBe(201);
  });
});

describe('a body', () => {
  const bodyLimits = { maxBytes: 10_000, idleMs: 100, totalMs: 400 };
  const type = { 'content-type': 'multipart/form-data; boundary=B' };
  /** Sends `chunk` every `everyMs`, endlessly. */
  const endless = (chunk: Uint8Array, everyMs: number) => {
    let timer: NodeJS.Timeout;
    return new ReadableStream<Uint8Array>({
      start(controller) {
        timer = setInterval(() => controller.enqueue(chunk), everyMs);
      },
      cancel: () => clearInterval(timer),
    });
  };
  const post = async (body: ReadableStream<Uint8Array>, headers: Record<string, string> = {}) => {
    const response = await live.app.request('/v1/identities', {
      ...{ method: 'POST', body, headers: { ...type, ...headers }, duplex: 'half' },
    });
    return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
  };

  beforeEach(async () => {
    live = await createLiveApp({ bodyLimits });
  });

  test('larger than the limit is answered 413, whether its length is told or not', async () => {
    expect(await post(endless(new Uint8Array(4000), 1))).toEqual([413, 'body-too-large']);
    expect(await post(endless(new Uint8Array(1), 10_000), { 'content-length': '10001' })).toEqual([
      413,
      'body-too-large',
    ]);
    expect(await post(endless(new Uint8Array(4000), 1), { 'content-length': '1' })).toEqual([413, 'body-too-large']);
  });

  test('that stops to come, or comes in drops, is given up', async () => {
    expect(await post(endless(new Uint8Array(1), 5000))).toEqual([400, 'upload-incomplete']);
    expect(await post(endless(new Uint8Array(1), 20))).toEqual([400, 'upload-incomplete']);
  });

  test('of a client that goes away is given up, and nothing is stored, whenever it goes', async () => {
    const going = new AbortController();
    const gate = Promise.withResolvers<void>();
    live.images.gate = gate.promise;
    const request = new Request('http://localhost/v1/identities', {
      method: 'POST',
      body: enrolmentForm('Ada', [ada, ada]),
      signal: going.signal,
    });
    const answered = live.app.request(request);
    await vi.waitFor(() => expect(live.images.asked).toBe(1));
    going.abort();
    gate.resolve();
    expect((await answered).status).toBe(400);
    expect(live.images.asked).toBe(1);
    nothingStored();
  });
});

describe('people', () => {
  test('are listed in the order in which they were enrolled, page by page', async () => {
    const ids = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) ids.push(await enrolPerson(live, name));
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await live.call('GET', `/v1/identities?limit=2${cursor && `&cursor=${cursor}`}`);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.next;
    } while (cursor !== null);
    expect(seen.sort()).toEqual(ids.sort());
    expect((await live.call('GET', '/v1/identities?cursor=x')).status).toBe(400);
    expect((await live.call('GET', '/v1/identities?limit=0')).status).toBe(400);
  });

  test('have a thumbnail, of their best photo', async () => {
    const { body } = await enrol('Ada', [
      fakePhoto({ person: 'x', quality: 0.2 }),
      fakePhoto({ person: 'y', quality: 0.7 }),
    ]);
    const response = await live.app.request(`/v1/identities/${body.id}/thumbnail`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('image/jpeg');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).toBe('thumbnail of y');
  });

  test('who are not there are answered 404 everywhere', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/thumbnail'],
    ]) {
      const { status, body } = await live.call(method!, `/v1/identities/nobody${path}`);
      expect([status, body.error.code]).toEqual([404, 'identity-not-found']);
    }
  });

  test('are back after a restart, as they were', async () => {
    const id = await enrolPerson(live, 'Ada', { person: 'Ada', quality: 0.4 });
    const { body } = await live.call('GET', `/v1/identities/${id}`);
    const again = await createLiveApp({ identities: { store: live.people, vault: live.vault } });
    expect((await again.call('GET', `/v1/identities/${id}`)).body).toEqual(body);
    expect(again.identities.personOf(id)!.embeddings).toEqual([fakeEmbedding('Ada'), fakeEmbedding('Ada')]);
    expect(await (await again.app.request(`/v1/identities/${id}/thumbnail`)).text()).toBe('thumbnail of Ada');
  });

  test('are stored so that nothing of them can be read', async () => {
    await enrolPerson(live, 'Ada Lovelace');
    const row = [...live.people.rows.values()][0]!;
    const stored = [row.sealedKey, row.sealedName, ...row.images.flatMap((i) => [i.sealedFace, i.sealedThumbnail!])];
    const embedding = Buffer.from(fakeEmbedding('Ada Lovelace').buffer);
    for (const bytes of stored.map((bytes) => Buffer.from(bytes))) {
      for (const secret of [Buffer.from('Ada Lovelace'), embedding.subarray(0, 8), Buffer.from('thumbnail of')]) {
        expect(bytes.includes(secret)).toBe(false);
      }
    }
  });

  test('whose sealed parts were put in another’s place can not be opened, and are not used', async () => {
    const [ada, bob] = [await enrolPerson(live, 'Ada'), await enrolPerson(live, 'Bob')];
    const { images } = live.people.rows.get(bob)!;
    live.people.rows.set(ada, { ...live.people.rows.get(ada)!, images });
    const again = await createLiveApp({ identities: { store: live.people, vault: live.vault } });
    expect((await again.call('GET', `/v1/identities/${ada}`)).body).toMatchObject({ usable: false, name: null });
    expect(again.identities.personOf(ada)).toBeNull();
    expect(again.identities.personOf(bob)).not.toBeNull();
    expect(again.logged.join()).toContain('can not be opened');
    expect((await again.call('DELETE', `/v1/identities/${ada}`)).status).toBe(204);
  });
});

describe('another recogniser', () => {
  test.each([
    ['name', { name: 'arcface', sha256: 'ab'.repeat(32) }],
    ['file', { name: 'face-recogniser', sha256: 'cd'.repeat(32) }],
  ])('by its %s: people are listed and not used, and one line of the log says so', async (_what, recogniser) => {
    const id = await enrolPerson(live, 'Ada');
    await enrolPerson(live, 'Bob');
    const again = await createLiveApp({ identities: { store: live.people, vault: live.vault, recogniser } });
    expect((await again.call('GET', `/v1/identities/${id}`)).body).toMatchObject({
      ...{ name: 'Ada', usable: false, model: 'face-recogniser' },
    });
    expect(again.identities.personOf(id)).toBeNull();
    const lines = again.logged.filter((line) => line.includes('another recogniser'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ identities: 2, recogniser: recogniser.name });
    const back = await createLiveApp({ identities: { store: live.people, vault: live.vault } });
    expect(back.identities.personOf(id)).not.toBeNull();
  });
});
