import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Dialect } from 'kysely';
import { BLOCKING_WAIT_MS, whileBusy } from './sqlite-busy.ts';
import { NodeSqliteDialect } from './sqlite-dialect.ts';

/**
 * Opens the file, makes it where there is none: for its owner alone, as it holds the addresses of cameras with their
 * passwords.
 * @throws what the file system or SQLite does
 */
export async function openSqlite(file: string): Promise<Dialect> {
  mkdirSync(dirname(file), { recursive: true });
  // SQLite gives the files that it puts beside this one the same mode.
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const database = new DatabaseSync(file, { timeout: BLOCKING_WAIT_MS, enableForeignKeyConstraints: true });
  try {
    // Readers and a writer do not wait for each other.
    await whileBusy(() => database.exec('PRAGMA journal_mode = WAL'));
    // A commit then lasts through the end of the process, but the newest may be lost with the machine's power: no
    // reason to make the packets wait for the disk.
    database.exec('PRAGMA synchronous = NORMAL');
    // What is deleted is overwritten: who asked to be forgotten must not be found in free pages.
    database.exec('PRAGMA secure_delete = ON');
  } catch (error) {
    database.close();
    throw error;
  }
  return new NodeSqliteDialect(database);
}
