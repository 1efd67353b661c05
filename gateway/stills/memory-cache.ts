/** Texts by name, the least recently used going first. Holds no more than `maxBytes` and `maxEntries`, none past its time. */
export class MemoryCache {
  readonly #limits: { readonly maxBytes: number; readonly maxEntries: number; readonly ttlMs: number };
  readonly #entries = new Map<string, { readonly text: string; readonly expiresAt: number }>();
  #bytes = 0;

  constructor(limits: { readonly maxBytes: number; readonly maxEntries: number; readonly ttlMs: number }) {
    this.#limits = limits;
  }

  get size(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries.size, bytes: this.#bytes };
  }

  get(name: string): string | null {
    const entry = this.#entries.get(name);
    if (!entry) return null;
    if (entry.expiresAt <= Date.now()) {
      this.delete(name);
      return null;
    }
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry.text;
  }

  /** @param expiresAt where it is known from elsewhere; it is never kept for longer than from now on */
  set(name: string, text: string, expiresAt = Number.POSITIVE_INFINITY): void {
    const { maxBytes, maxEntries, ttlMs } = this.#limits;
    this.delete(name);
    if (bytesOf(name, text) > maxBytes) return;
    this.#entries.set(name, { text, expiresAt: Math.min(expiresAt, Date.now() + ttlMs) });
    this.#bytes += bytesOf(name, text);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= maxBytes && this.#entries.size <= maxEntries) break;
      this.delete(oldest);
    }
  }

  delete(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    this.#bytes -= bytesOf(name, entry.text);
  }

  /** Lets go of all whose name begins so. */
  deleteAll(prefix = ''): void {
    for (const name of this.#entries.keys()) if (name.startsWith(prefix)) this.delete(name);
  }

  /** Lets go of all that is past its time. */
  sweep(): void {
    const now = Date.now();
    for (const [name, { expiresAt }] of this.#entries) if (expiresAt <= now) this.delete(name);
  }
}

/** What is kept is ASCII, of which V8 keeps a byte a character. */
function bytesOf(name: string, text: string): number {
  return name.length + text.length;
}
