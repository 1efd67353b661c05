import { join } from 'node:path';
import { LocalStore } from '../../recorder/store/local-store.ts';
import { S3Store } from '../../recorder/store/s3-store.ts';
import type { S3Config } from '../config.ts';
import { GatewayError } from '../errors.ts';
import type { Vault } from '../secrets/vault.ts';

export interface OpenObjectStoreOptions {
  /** Null: a folder in DATA_DIR. */
  readonly s3: S3Config | null;
  readonly dataDir: string;
  readonly publicUrl: string | null;
  readonly vault: Pick<Vault, 'deriveKey'>;
}

/**
 * The store of recordings, videos and thumbnails. A bucket that is not there, or does not let us in, stops nothing yet:
 * its first use says so, and so does `check`.
 * @throws GatewayError 'bad-config' where DATA_DIR can't be written to
 */
export async function openObjectStore(options: OpenObjectStoreOptions): Promise<LocalStore | S3Store> {
  const { s3, dataDir, publicUrl, vault } = options;
  if (s3) return new S3Store(s3);
  const signingKey = vault.deriveKey('object addresses');
  try {
    return await LocalStore.open({ folder: join(dataDir, 'objects'), signingKey, baseUrl: publicUrl ?? '' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new GatewayError('bad-config', `DATA_DIR cannot be written to (${code})`, { cause: error });
  }
}
