import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KEY_BYTES, SealError, Vault } from '../secrets/vault.ts';

/** Ours in the folder: entries, and what a write that was cut short left behind. */
const ENTRY = /^[0-9a-f]{32}-[0-9a-f]{32}$/;
const UNFINISHED = /\.unfinished$/;
const KEY_FILE = 'key';
const KEY_CONTEXT = 'stills-key';
/** Hex digits of a half of an entry's name. */
const NAME_DIGITS = 32;

export interface DiskCacheOptions {
  /** Made where it is missing, for its owner alone. */
  readonly folder: string;
  /** Seals the key that entries are sealed with: without it nothing in the folder can be opened. */
  readonly vault: Vault;
  readonly ttlMs: number;
  readonly maxBytes: number;
  readonly maxEntries: number;
}

interface Entry {
  readonly bytes: number;
  readonly expiresAt: number;
}

/** What was answered about which subject. */
export interface CacheKey {
  /** A picture, by the SHA-256 of its bytes. */
  readonly subject: string;
  /** What was asked, of which models. */
  readonly question: string;
}

/**
 * Answers in files of a folder, sealed, the oldest going first. Holds no more than `maxBytes` and `maxEntries`, none past
 * its time. The files' names say nothing to who has no key, not even whether a picture that one has was asked about.
 * Changes are made one after the other, in the order of the calls.
 */
export class DiskCache {
  readonly #options: DiskCacheOptions;
  readonly #vault: Vault;
  readonly #naming: KeyObject;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * Takes up what is in the folder, less what is past its time. All of it is erased where its key can't be opened.
   * @throws Error of the file system
   */
  static async open(options: DiskCacheOptions): Promise<DiskCache> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const keys = (await openKeys(options)) ?? (await makeKeys(options));
    const [sealing, naming] = [keys.subarray(0, KEY_BYTES), keys.subarray(KEY_BYTES)].map((key) =>
      createSecretKey(key),
    );
    keys.fill(0);
    const cache = new DiskCache(options, new Vault(sealing!), naming!);
    await cache.#load();
    return cache;
  }

  private constructor(options: DiskCacheOptions, vault: Vault, naming: KeyObject) {
    this.#options = options;
    this.#vault = vault;
    this.#naming = naming;
  }

  get size(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries.size, bytes: this.#bytes };
  }

  /**
   * @returns null where there is none, or none that can be opened
   * @throws Error of the file system
   */
  async get(key: CacheKey): Promise<{ readonly text: string; readonly expiresAt: number } | null> {
    const name = this.#nameOf(key);
    const entry = this.#entries.get(name);
    if (!entry || entry.expiresAt <= Date.now()) return null;
    try {
      const sealed = await readFile(this.#pathOf(name));
      return { text: Buffer.from(this.#vault.open(sealed, name)).toString(), expiresAt: entry.expiresAt };
    } catch (error) {
      if (!(error instanceof SealError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await this.#inTurn(() => this.#erase(name));
      return null;
    }
  }

  /**
   * @param isWanted asked when its turn has come
   * @throws Error of the file system; nothing is left then
   */
  set(key: CacheKey, text: string, isWanted: () => boolean): Promise<void> {
    const name = this.#nameOf(key);
    return this.#inTurn(async () => {
      const { maxBytes, maxEntries, ttlMs } = this.#options;
      const sealed = this.#vault.seal(Buffer.from(text), name);
      if (!isWanted() || sealed.length > maxBytes) return;
      await this.#erase(name);
      for (const oldest of this.#entries.keys()) {
        if (this.#bytes + sealed.length <= maxBytes && this.#entries.size < maxEntries) break;
        await this.#erase(oldest);
      }
      const unfinished = `${this.#pathOf(name)}.unfinished`;
      try {
        await writeFile(unfinished, sealed, { mode: 0o600 });
        await rename(unfinished, this.#pathOf(name));
      } catch (error) {
        await rm(unfinished, { force: true });
        throw error;
      }
      this.#add(name, { bytes: sealed.length, expiresAt: Date.now() + ttlMs });
    });
  }

  /** Erases what was answered about a subject. */
  erase(subject: string): Promise<void> {
    return this.#eraseAll(`${this.#mac(subject)}-`);
  }

  eraseAll(): Promise<void> {
    return this.#eraseAll('');
  }

  /** Erases all that is past its time. */
  sweep(): Promise<void> {
    return this.#inTurn(async () => {
      const now = Date.now();
      for (const [name, { expiresAt }] of this.#entries) {
        if (expiresAt > now) break;
        await this.#erase(name);
      }
    });
  }

  /** Waits for the changes that are under way. */
  async close(): Promise<void> {
    await this.#inTurn(async () => undefined);
  }

  #eraseAll(prefix: string): Promise<void> {
    return this.#inTurn(async () => {
      for (const name of this.#entries.keys()) if (name.startsWith(prefix)) await this.#erase(name);
    });
  }

  #nameOf({ subject, question }: CacheKey): string {
    return `${this.#mac(subject)}-${this.#mac(`${subject} ${question}`)}`;
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#naming).update(text).digest('hex').slice(0, NAME_DIGITS);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change);
    // Told to whoever took this turn; the next begins all the same.
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #load(): Promise<void> {
    const { folder, ttlMs, maxBytes, maxEntries } = this.#options;
    const found: { name: string; bytes: number; expiresAt: number }[] = [];
    for (const name of await readdir(folder)) {
      if (UNFINISHED.test(name)) await rm(join(folder, name), { force: true });
      if (!ENTRY.test(name)) continue;
      const { size, mtimeMs } = await stat(join(folder, name));
      // A clock that was put back must not keep it for longer.
      found.push({ name, bytes: size, expiresAt: Math.min(mtimeMs, Date.now()) + ttlMs });
    }
    for (const { name, ...entry } of found.toSorted((a, b) => a.expiresAt - b.expiresAt)) this.#add(name, entry);
    const now = Date.now();
    for (const [name, { expiresAt }] of this.#entries) {
      if (expiresAt > now && this.#bytes <= maxBytes && this.#entries.size <= maxEntries) break;
      await this.#erase(name);
    }
  }

  #add(name: string, entry: Entry): void {
    this.#entries.set(name, entry);
    this.#bytes += entry.bytes;
  }

  async #erase(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    if (!entry) return;
    await rm(this.#pathOf(name), { force: true });
    this.#entries.delete(name);
    this.#bytes -= entry.bytes;
  }

  #pathOf(name: string): string {
    return join(this.#options.folder, name);
  }
}

/** Two keys, one after the other: what entries are sealed with, and what their names are made with. */
async function openKeys({ folder, vault }: DiskCacheOptions): Promise<Uint8Array | null> {
  try {
    const keys = vault.open(await readFile(join(folder, KEY_FILE)), KEY_CONTEXT);
    if (keys.length === 2 * KEY_BYTES) return keys;
  } catch (error) {
    if (!(error instanceof SealError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return null;
}

/** What is in the folder already nobody can open any more. */
async function makeKeys({ folder, vault }: DiskCacheOptions): Promise<Uint8Array> {
  for (const name of await readdir(folder)) {
    if (ENTRY.test(name)) await rm(join(folder, name), { force: true });
  }
  const keys = randomBytes(2 * KEY_BYTES);
  const path = join(folder, KEY_FILE);
  await writeFile(`${path}.unfinished`, vault.seal(keys, KEY_CONTEXT), { mode: 0o600 });
  await rename(`${path}.unfinished`, path);
  return keys;
}
