// Puts one object and begins uploads of parts of it, over and over, until it is killed. Says so once the first is there.
import { createSecretKey, randomBytes } from 'node:crypto';
import { LocalStore } from '../../../recorder/store/local-store.ts';

const [folder, key] = process.argv.slice(2);
const store = await LocalStore.open({ folder: folder!, signingKey: createSecretKey(randomBytes(32)), baseUrl: '' });
const { signal } = new AbortController();

async function* chunks() {
  for (let i = 0; i < 8; i++) yield randomBytes(100_000);
}

for (let i = 0; ; i++) {
  await store.put(key!, chunks(), { contentType: 'text/plain' });
  if (i === 0) process.stdout.write('there\n');
  const upload = await store.createMultipart(key!, { contentType: 'text/plain' });
  const grant = { method: 'PUT', key: key!, expires: 0, size: 800_000, upload, part: 1 } as const;
  const etag = await store.putGranted(grant, chunks(), signal);
  await store.completeMultipart(key!, upload, [{ number: 1, etag }]);
}
