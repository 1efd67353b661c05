// What one look of the detector costs on one thread, with its graph as it came and as the engine runs it.
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { defaultModelLocations } from '../models/locations.ts';
import { mergeHeads } from '../models/onnx/merge-heads.ts';
import { resolveModel } from '../models/resolve.ts';
import { report } from './report.ts';
import { median, rounded } from './statistics.ts';

const SIZES = [
  [320, 192],
  [640, 352],
  [960, 544],
  [1280, 736],
] as const;
const RUNS_A_ROUND = 10;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } });
const { entry, bytes } = await resolveModel('yunet-n', defaultModelLocations({}));
const variants = { 'as it came': bytes, 'heads merged': mergeHeads(bytes) };
const sessions: [string, InferenceSession][] = [];
for (const [name, graph] of Object.entries(variants)) {
  const options = { executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1 };
  sessions.push([name, await InferenceSession.create(graph, options)]);
}

const rows = [];
for (const [width, height] of SIZES) {
  const input = new Tensor('float32', new Float32Array(3 * width * height).fill(114), [1, 3, height, width]);
  const took = new Map(sessions.map(([name]) => [name, [] as number[]]));
  // In turn, so that whatever else the machine does meets all alike; the first round only warms up.
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, session] of sessions) {
      const before = process.cpuUsage();
      for (let i = 0; i < RUNS_A_ROUND; i++) await session.run({ [entry.input.tensor]: input });
      const { user, system } = process.cpuUsage(before);
      if (round > 0) took.get(name)!.push((user + system) / 1000 / RUNS_A_ROUND);
    }
  }
  const [came, merged] = sessions.map(([name]) => median(took.get(name)!)!);
  rows.push({
    model: entry.name,
    input: `${width}x${height}`,
    'as it came, ms of CPU': rounded(came!, 2),
    'heads merged': rounded(merged!, 2),
    ratio: rounded(merged! / came!, 2),
  });
}
report('model', rows, { rows });
