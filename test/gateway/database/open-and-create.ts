// A gateway's start in a process of its own: opens the database at once with others when it is told to, and tries to
// make one stream. Prints what came of it as one line of JSON.
import { once } from 'node:events';
import { pino } from 'pino';
import { Database } from '../../../gateway/database/database.ts';
import { GatewayError } from '../../../gateway/errors.ts';
import { testStream } from './test-stream.ts';

const [dataDir, databaseUrl, keyHash] = process.argv.slice(2) as [string, string, string];
const migrated: string[] = [];
const log = pino({ base: null }, { write: (line) => migrated.push(JSON.parse(line).msg) });

process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
const database = await Database.open({ dataDir, databaseUrl: databaseUrl || null, log });
let created = true;
try {
  await database.streams.create(testStream('contested', { keyHash }));
} catch (error) {
  if (!(error instanceof GatewayError) || error.code !== 'stream-exists') throw error;
  created = false;
}
await database.close();
process.stdout.write(`${JSON.stringify({ keyHash, created, migrated: migrated.length > 0 })}\n`);
