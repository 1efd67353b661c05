import { createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { pino } from 'pino';
import { GatewayError } from '../../../gateway/errors.ts';
import { objectHeaders, objectRoutes } from '../../../gateway/objects/object-routes.ts';
import { LocalStore } from '../../../recorder/store/local-store.ts';
import type { ObjectStore, SignedRequest } from '../../../recorder/store/object-store.ts';
import { S3Store } from '../../../recorder/store/s3-store.ts';
import type { S3Server } from '../../setup/s3-server.ts';

/** A store of its own, empty, over the parts that it has in operation. */
export interface TestStore {
  readonly store: ObjectStore;
  /** A store whose bucket or folder went away; null where it can't. */
  readonly homeless: ObjectStore | null;
  /** What is kept of uploads that were neither completed nor aborted, and of objects half written. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
}

/** A local store, its addresses served over HTTP as the gateway does. */
export async function openLocal(): Promise<TestStore & { readonly folder: string; readonly store: LocalStore }> {
  const folder = await mkdtemp(join(tmpdir(), 'faceblur-objects-'));
  const routes: { fetch: Hono['fetch'] } = new Hono();
  const server = createAdaptorServer({ fetch: (request: Request) => routes.fetch(request) }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = await LocalStore.open({ folder, signingKey: createSecretKey(randomBytes(32)), baseUrl });
  routes.fetch = appOf(store).fetch;
  return {
    store,
    folder,
    homeless: null,
    leftovers: async () => {
      const files = await readdir(folder, { recursive: true, withFileTypes: true });
      const names = files.filter((file) => file.isFile()).map(({ name, parentPath }) => join(parentPath, name));
      const objects = new Set(names.filter((name) => name.endsWith('@meta')).map((name) => name.slice(0, -5)));
      const taken = new Set<string>();
      return names.filter((name) => {
        const data = /^(.*)@[0-9a-f]{32}$/.exec(name)?.[1];
        if (data === undefined) return !name.endsWith('@meta');
        // One file of bytes belongs to each object.
        if (!objects.has(data) || taken.has(data)) return true;
        taken.add(data);
        return false;
      });
    },
    close: async () => {
      await store.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The routes of a local store, with errors as the gateway tells them. */
export function appOf(store: LocalStore, limits?: Parameters<typeof objectRoutes>[0]['limits']): Hono {
  const app = new Hono();
  app.use('/objects/*', objectHeaders);
  app.route('/objects', objectRoutes({ store, log: pino({ level: 'silent' }), ...(limits && { limits }) }));
  app.onError((error, c) => {
    if (!(error instanceof GatewayError)) throw error;
    return c.json({ error: { code: error.code, message: error.message } }, error.status);
  });
  return app;
}

/** A store in a new bucket of `server`. */
export async function openS3(server: S3Server): Promise<TestStore> {
  const options = await server.createBucket();
  const store = new S3Store(options);
  const { bucket, endpoint, credentials, region, forcePathStyle } = options;
  const client = new S3Client({ endpoint: endpoint!, credentials: credentials!, region, forcePathStyle });
  const homeless = new S3Store({ ...options, bucket: `${bucket}-gone` });
  return {
    store,
    homeless,
    leftovers: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return Uploads.map(({ Key }) => Key!);
    },
    close: async () => {
      await store.close();
      await homeless.close();
      client.destroy();
    },
  };
}

/** Sends what was signed, as a client does that knows nothing else. */
export function send(signed: SignedRequest, body?: Uint8Array | string, init: RequestInit = {}): Promise<Response> {
  const { method, url, headers } = signed;
  const content = body === undefined ? {} : { body: Buffer.from(body) };
  return fetch(url, { method, ...content, ...init, headers: { ...headers, ...init.headers } });
}

export async function bytesOf(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}
