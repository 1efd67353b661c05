import { blurFile } from '../../../inference/blur-file.ts';

// Blurs a file but for one person in a process that a test can kill, and says when which part of the work has begun.
const [input, output] = process.argv.slice(2);
const embedding = new Float32Array(128);
embedding[0] = 1;
const people = {
  mode: 'except',
  recogniser: 'face-recogniser',
  people: [{ id: 'nobody', embeddings: [embedding] }],
} as const;
await blurFile({ input: input!, output: output!, people }, { onProgress: ({ stage }) => console.log(stage) });
