import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OUT_FOLDER } from './clips.ts';
import { describeMachine } from './machine.ts';

/** One row of a table: column name to what stands in it. */
export type Row = Record<string, string | number | null>;

/** Lays rows out in columns: text to the left, numbers to the right, a dash where there is nothing. */
export function formatTable(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const isNumeric = (column: string) => rows.every((row) => typeof (row[column] ?? 0) === 'number');
  const cell = (row: Row, column: string) => String(row[column] ?? '-');
  const lines = columns.map((column) => {
    const cells = [column, ...rows.map((row) => cell(row, column))];
    const width = Math.max(...cells.map((text) => text.length));
    return cells.map((text) => (isNumeric(column) ? text.padStart(width) : text.padEnd(width)));
  });
  return [0, ...rows.map((_, i) => i + 1)].map((i) => lines.map((column) => column[i]).join('  ')).join('\n');
}

/** Prints the machine and the table, and writes everything to `bench/out/<name>.json`. */
export function report(name: string, rows: readonly Row[], details: object): void {
  const machine = describeMachine();
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}, ${machine.date}`,
  );
  console.log(formatTable(rows));
  mkdirSync(OUT_FOLDER, { recursive: true });
  const file = join(OUT_FOLDER, `${name}.json`);
  writeFileSync(file, `${JSON.stringify({ machine, ...details }, null, 2)}\n`);
  console.log(file);
}
