import { runCommandLine } from './cli/program.ts';

// A reader that goes away, like `head`, is no failure.
process.stdout.on('error', () => {});
process.exit(await runCommandLine(process.argv.slice(2)));
