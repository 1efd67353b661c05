import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadServerConfig } from '../../../gateway/config.ts';
import { Server } from '../../../gateway/server.ts';
import { ImageEngine } from '../../../inference/image/image-engine.ts';
import { defaultModelLocations } from '../../../models/locations.ts';
import { FIVE_PEOPLE } from '../../clips/face-photo.ts';
import { hasPostgres, PostgresServer } from '../../setup/postgres-server.ts';
import { FakeEngine } from '../fake-engine.ts';
import { enrolmentForm } from './enrol.ts';
import { portrait } from './portraits.ts';

const NAME = 'Wilhelmina Quixote-Zwölf';
/** So much of something sealed is looked for: by chance it is nowhere. */
const PIECE_BYTES = 24;
/** A page of the database may end anywhere in it. */
const STEP_BYTES = 256;

let photos: Buffer[];
/** What the recogniser makes of the photos, as bytes. */
let embeddings: Buffer[];

beforeAll(async () => {
  photos = [await portrait(FIVE_PEOPLE, 0), await portrait(FIVE_PEOPLE, 1)];
  const engine = new ImageEngine(defaultModelLocations({}));
  try {
    embeddings = [];
    for (const photo of photos) {
      const { faces } = await engine.embedFaces(photo);
      embeddings.push(Buffer.from(faces[0]!.embedding!.buffer));
    }
  } finally {
    await engine.close();
  }
}, 120_000);

/** Every file below a folder, by its path. */
function filesOf(folder: string): Map<string, Buffer> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));
  return new Map(paths.filter((path) => statSync(path).isFile()).map((path) => [path, readFileSync(path)]));
}

function piecesOf(bytes: Uint8Array): Buffer[] {
  const last = bytes.length - PIECE_BYTES;
  return Array.from({ length: Math.floor(last / STEP_BYTES) + 1 }, (_, i) =>
    Buffer.from(bytes.subarray(i * STEP_BYTES, i * STEP_BYTES + PIECE_BYTES)),
  );
}

/** Where pieces of `secrets` are to be read, as bytes or in hex. */
function traces(kept: ReadonlyMap<string, Buffer>, secrets: readonly Uint8Array[]): string[] {
  return [...kept].flatMap(([path, bytes]) =>
    secrets.flatMap(piecesOf).some((piece) => bytes.includes(piece) || bytes.includes(piece.toString('hex')))
      ? [path]
      : [],
  );
}

describe.each(['SQLite', 'PostgreSQL'])('an identity erased, %s', (kind) => {
  const check = test.skipIf(kind === 'PostgreSQL' && !hasPostgres);
  let postgres: PostgresServer | undefined;
  let databaseUrl: string | undefined;
  let dataDir: string;
  let server: Server;
  let logged: string[];

  beforeAll(async () => {
    if (kind === 'PostgreSQL' && hasPostgres) postgres = await PostgresServer.start();
  });
  afterAll(() => postgres?.stop());

  const start = async () => {
    const ports = { PORT: '0', RTMP_PORT: '0', RTC_PORT: '0' };
    server = await Server.create({
      config: loadServerConfig({ ...ports, DATA_DIR: dataDir, ...(databaseUrl && { DATABASE_URL: databaseUrl }) }),
      blurFile: new FakeEngine().blurFile,
      ready: async () => {},
      log: pino({ level: 'trace' }, { write: (line) => logged.push(line) }),
    });
  };
  const call = async (method: string, path: string, body?: FormData | object) => {
    const json = body && !(body instanceof FormData);
    const response = await fetch(server.url + path, {
      method,
      ...(body && { body: json ? JSON.stringify(body) : body }),
      ...(json && { headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: tests assert on what they read
    const read: any = text ? JSON.parse(text) : null;
    return { status: response.status, cache: response.headers.get('x-cache'), body: read };
  };

  beforeEach(async () => {
    if (kind === 'PostgreSQL' && !postgres) return;
    dataDir = mkdtempSync(join(tmpdir(), 'faceblur-erasure-'));
    databaseUrl = await postgres?.createDatabase();
    logged = [];
    await start();
  });
  afterEach(async () => {
    await server?.close();
    if (dataDir) rmSync(dataDir, { recursive: true, force: true });
  });

  /** All that is kept: the data directory, and of PostgreSQL every row and the file of the keys' table. */
  const kept = async (): Promise<Map<string, Buffer>> => {
    const files = filesOf(dataDir);
    if (!postgres) return files;
    const tables = ['identities', 'identity_images', 'streams', 'play_tokens', 'seal_check'];
    for (const table of tables) {
      const rows = await postgres.query(`select t::text as row from ${table} t`, databaseUrl);
      files.set(`rows of ${table}`, Buffer.from(JSON.stringify(rows)));
    }
    await postgres.query('checkpoint', databaseUrl);
    const sql = "select pg_read_binary_file(pg_relation_filepath('identities')) as bytes";
    const [file] = (await postgres.query(sql, databaseUrl)) as { bytes: Buffer }[];
    files.set('file of identities', file!.bytes);
    return files;
  };
  const sealed = async (): Promise<{ keys: Uint8Array[]; faces: Uint8Array[] }> => {
    const ofKeys = 'select sealed_key as a, sealed_name as b from identities order by created_at';
    const ofFaces = `select sealed_face as a, sealed_thumbnail as b from identity_images
      join identities on id = identity_id order by created_at, position`;
    const [keys, faces] = await Promise.all(
      [ofKeys, ofFaces].map(async (sql) => {
        const rows = postgres ? await postgres.query(sql, databaseUrl) : sqlite(sql);
        return (rows as { a: Uint8Array; b: Uint8Array }[]).flatMap(({ a, b }) => [a, b]);
      }),
    );
    return { keys: keys!, faces: faces! };
  };
  const sqlite = (sql: string) => {
    const database = new DatabaseSync(join(dataDir, 'faceblur.db'), { readOnly: true });
    try {
      return database.prepare(sql).all();
    } finally {
      database.close();
    }
  };

  check(
    'leaves nothing of it in the data directory or the database, open or closed; the log never held any of it',
    async () => {
      const enrolled = await call('POST', '/v1/identities', enrolmentForm(NAME, photos));
      expect([enrolled.status, enrolled.body.images?.length]).toEqual([201, 2]);
      const { id } = enrolled.body;
      const other = await call('POST', '/v1/identities', enrolmentForm('Somebody else', [photos[1]!]));
      const policy = { mode: 'only', identities: [id, other.body.id] };
      expect((await call('POST', '/v1/streams', { id: 's', policy })).status).toBe(201);
      // The same photo through the other door, so that what was found in it is kept there too.
      const form = new FormData();
      form.set('image', new Blob([Uint8Array.from(photos[0]!)]), 'a.jpg');
      for (const cache of ['miss', 'hit']) {
        expect(await call('POST', '/v1/faces/embed', form)).toMatchObject({ status: 200, cache });
      }
      const thumbnail = Buffer.from(await (await fetch(`${server.url}/v1/identities/${id}/thumbnail`)).arrayBuffer());
      expect(thumbnail.subarray(0, 3).toString('hex')).toBe('ffd8ff');

      const plain = [Buffer.from(NAME), thumbnail, ...embeddings, ...photos];
      const before = await sealed();
      const [theirs, ours] = [before.keys.slice(-2), before.keys.slice(0, 2)];
      expect(traces(await kept(), ours).length, 'what is looked for is there to be found').toBeGreaterThan(0);
      expect(traces(await kept(), before.faces).length).toBeGreaterThan(0);
      expect(traces(await kept(), plain)).toEqual([]);

      expect((await call('DELETE', `/v1/identities/${id}`)).status).toBe(204);
      const faces = before.faces.slice(0, 4);
      expect(traces(await kept(), [...ours, ...faces, ...plain])).toEqual([]);
      expect(traces(await kept(), theirs).length, 'somebody else stays').toBeGreaterThan(0);
      expect((await call('GET', '/v1/streams/s')).body.policy).toMatchObject({
        mode: 'all',
        identities: [other.body.id],
      });
      expect(await call('POST', '/v1/faces/embed', form)).toMatchObject({ status: 200, cache: 'miss' });

      await server.close();
      expect(traces(await kept(), [...ours, ...faces, ...plain])).toEqual([]);
      await start();
      expect((await call('GET', '/v1/identities')).body.items.map((item: { id: string }) => item.id)).toEqual([
        other.body.id,
      ]);

      const log = logged.join('\n');
      expect(log).toContain(id);
      expect(traces(new Map([['log', Buffer.from(log)]]), plain)).toEqual([]);
      for (const word of ['Wilhelmina', 'Somebody', ...plain.map((bytes) => bytes.toString('base64').slice(0, 32))]) {
        expect(log).not.toContain(word);
      }
    },
    60_000,
  );
});
