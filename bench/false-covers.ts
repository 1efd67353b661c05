// How much of pictures without a face is covered: photos as they are and panned over, and clips.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Log } from 'node-av';
import { AV_LOG_ERROR } from 'node-av/constants';
import { blurFile } from '../inference/blur-file.ts';
import { DEFAULT_POLICY } from '../inference/policy.ts';
import { OUT_FOLDER } from './clips.ts';
import { type CoveredArea, coveredArea } from './covered-area.ts';
import { type FacelessClip, facelessPhotos, facelessVideos } from './faceless-clips.ts';
import { type Row, report } from './report.ts';
import { rounded } from './statistics.ts';

async function measure(clip: FacelessClip): Promise<CoveredArea> {
  const folder = join(OUT_FOLDER, 'false-covers');
  mkdirSync(folder, { recursive: true });
  const reportFile = join(folder, 'report.json');
  const result = await blurFile({ input: clip.file, output: join(folder, 'out.mp4'), report: reportFile });
  const { covered, pixels } = coveredArea(JSON.parse(readFileSync(reportFile, 'utf8')), DEFAULT_POLICY.margin);
  return { covered: covered + (result.coveredWhole * pixels) / result.frames, pixels };
}

const percent = ({ covered, pixels }: CoveredArea) => rounded((100 * covered) / Math.max(1, pixels), 3);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { all: { type: 'boolean', default: false } } });
  Log.setLevel(AV_LOG_ERROR);
  const groups = new Map<string, CoveredArea>();
  const rows: Row[] = [];
  for (const clip of [
    ...(await facelessPhotos('still', 1)),
    ...(await facelessPhotos('pan', 2)),
    ...facelessVideos(),
  ]) {
    const area = await measure(clip);
    for (const group of [clip.group, 'total']) {
      const sum = groups.get(group) ?? { covered: 0, pixels: 0 };
      groups.set(group, { covered: sum.covered + area.covered, pixels: sum.pixels + area.pixels });
    }
    console.error(`${clip.name} (${clip.group}): ${percent(area)} %`);
    if (values.all || area.covered > 0)
      rows.push({ what: clip.name, group: clip.group, 'falsely covered %': percent(area) });
  }
  const sums = [...groups].map(([what, area]): Row => ({ what, group: '', 'falsely covered %': percent(area) }));
  report('false-covers', [...rows, ...sums.sort((a, b) => Number(a.what === 'total') - Number(b.what === 'total'))], {
    rows,
    sums,
  });
}

await main();
