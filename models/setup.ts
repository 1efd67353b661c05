// One step of `node setup.mjs`, at every start: makes the models ready. Exit code 1, after one line, when it cannot.
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Halves the time of a start that finds all in place. So the imports come after it.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'faceblur'));
const { ensureModels } = await import('./ensure.ts');
const { ModelError } = await import('./errors.ts');
const { defaultModelLocations } = await import('./locations.ts');

if (existsSync('.env')) process.loadEnvFile('.env');
try {
  await ensureModels(defaultModelLocations(process.env), {
    done: (line) => console.log(`setup: ${line}`),
    warn: (line) => console.error(`setup: ${line}`),
  });
} catch (error) {
  if (!(error instanceof ModelError)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
