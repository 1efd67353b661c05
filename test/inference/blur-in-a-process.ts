import { blurFile } from '../../inference/blur-file.ts';

// Blurs a file in a process that a test can kill, and says when the work has begun.
const [input, output, report] = process.argv.slice(2);
await blurFile({ input: input!, output: output!, report: report! }, { onProgress: ({ stage }) => console.log(stage) });
