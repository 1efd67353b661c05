import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { measureLeaks } from '../../bench/leak-measure.ts';
import { FileJob, type FileJobOptions } from '../../inference/file-job.ts';
import { makePolicy } from '../../inference/policy.ts';
import { type ResolveOptions, resolveModel } from '../../models/resolve.ts';
import { makeFaceClip } from '../clips/face-clip.ts';
import { temporaryFolder } from '../clips/temporary-folder.ts';

/** The project's bound for legible face-frames; it holds for the smaller detector where faces are as large as these. */
const MAX_LEAKED_PER_1000 = 5;

const folder = temporaryFolder();

test('without YuNet the detector that is always there covers the faces, after one warning', async () => {
  const modelsDir = join(folder, 'empty');
  mkdirSync(modelsDir);
  const models: ResolveOptions = { cacheDir: join(folder, 'cache'), modelsDir, allowDownload: false };
  await resolveModel('ssd-mobilenet-v1', models);
  const clip = await makeFaceClip(join(folder, 'in.mp4'), { seconds: 1.5 });
  const output = join(folder, 'out.mp4');
  const kind = { container: 'mp4', codec: 'h264' } as const;
  const job: FileJobOptions = {
    input: clip.path,
    output,
    kind,
    keepMetadata: false,
    policy: makePolicy(),
    report: null,
    models,
  };
  const warnings: string[] = [];
  const hooks = { onProgress: () => undefined, onWarning: (message: string) => warnings.push(message) };
  const result = await new FileJob(job, hooks).run();
  expect(result).toMatchObject({ detector: 'ssd-mobilenet-v1', frames: 45, coveredWhole: 0 });
  expect(warnings).toEqual([expect.stringMatching(/^[^\n]*FACEBLUR_MODELS_DIR[^\n]*ssd-mobilenet-v1 instead[^\n]*$/)]);
  const { leakedPer1000, faceFrames } = await measureLeaks({ source: clip.path, output, truth: clip.truth });
  expect(faceFrames).toBeGreaterThan(100);
  expect(leakedPer1000).toBeLessThanOrEqual(MAX_LEAKED_PER_1000);
});
