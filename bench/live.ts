import { fork } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Figure, figureRow, isMet, type PartResult } from './live/figure.ts';
import { busyPart } from './live/machine-load.ts';
import type { PartOptions } from './live/part-options.ts';
import { PARTS } from './live/parts.ts';
import { formatTable, report } from './report.ts';

const PART_PROCESS = join(import.meta.dirname, 'live', 'part-process.ts');
/** The longest part, 200 publishes or a dozen streams, takes a fraction of this. */
const PART_LIMIT_MS = 60 * 60 * 1000;
/** A part that was asked to end has this long to end what it started. */
const STOP_LIMIT_MS = 15_000;
/** Cores busier than this before a part begins, and its figures are not the machine's own. */
const MAX_BUSY_BEFORE = 0.1;

type Outcome = { readonly part: string } & ({ readonly result: PartResult } | { readonly error: string });

const list = (text: string): string[] => text.split(',').filter(Boolean);

function whole(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} must be a whole number from 1 up`);
  return Number(text);
}

async function runPart(part: string, options: PartOptions): Promise<Outcome> {
  const child = fork(PART_PROCESS, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const answer = Promise.withResolvers<{ result: PartResult } | { error: string }>();
  child.once('message', answer.resolve);
  child.once('error', answer.reject);
  child.once('exit', (code, signal) => answer.resolve({ error: `its process ended with ${code ?? signal}` }));
  const limit = setTimeout(() => {
    answer.resolve({ error: `it took longer than ${PART_LIMIT_MS / 60_000} minutes` });
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS).unref();
  }, PART_LIMIT_MS);
  child.send({ part, options });
  try {
    return { part, ...(await answer.promise) };
  } finally {
    clearTimeout(limit);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      streams: { type: 'string', default: '' },
      clips: { type: 'string', default: '' },
      profile: { type: 'boolean', default: false },
    },
  });
  const parts = values.only === '' ? Object.keys(PARTS) : list(values.only);
  const unknown = parts.filter((part) => !(part in PARTS));
  if (unknown.length > 0)
    throw new Error(`no part is named ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  const options: PartOptions = {
    seconds: whole('seconds', values.seconds),
    rounds: whole('rounds', values.rounds),
    streams: list(values.streams).map((text) => whole('streams', text)!),
    clips: list(values.clips),
    profile: values.profile,
  };
  const outcomes: Outcome[] = [];
  const figures: Figure[] = [];
  const notes: string[] = [];
  for (const part of parts) {
    const busy = await busyPart();
    if (busy > MAX_BUSY_BEFORE) {
      notes.push(`${part}: NOT ALONE: the machine was ${Math.round(100 * busy)} % busy before it began`);
    }
    const outcome = await runPart(part, options);
    outcomes.push(outcome);
    if ('error' in outcome) {
      console.error(`${part} failed: ${outcome.error}`);
      continue;
    }
    figures.push(...outcome.result.figures);
    notes.push(...outcome.result.notes);
    for (const { title, rows } of outcome.result.tables) console.log(`\n${title}\n${formatTable(rows)}`);
  }
  console.log('');
  for (const note of notes) console.log(`- ${note}`);
  const name = parts.length === 1 ? `live-${parts[0]}` : 'live';
  report(name, figures.map(figureRow), { options, notes, figures, outcomes });
  const missed = figures.filter((figure) => isMet(figure) === false);
  if (missed.length > 0) console.log(`${missed.length} of ${figures.length} figures are not met`);
  // A part that did not run is a fault of the bench or the gateway; a figure that is not met is a result.
  if (outcomes.some((outcome) => 'error' in outcome)) process.exitCode = 1;
}

await main();
