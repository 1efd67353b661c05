import type { ModelCost } from '../../inference/detect/model-cost.ts';
import { locateModel } from '../../models/locate.ts';
import type { ModelLocations } from '../../models/locations.ts';
import type { ModelEntry, ModelKind } from '../../models/manifest.ts';
import { loadEngineConfig } from '../config.ts';
import { wantedModels } from './wanted-models.ts';

/** Options of `faceblur models`. */
export interface ModelsCommand {
  readonly json?: boolean;
  readonly load?: boolean;
}

/** What is told of one model. */
interface ListedModel {
  readonly name: string;
  readonly kind: ModelKind;
  readonly family: ModelEntry<ModelKind>['family'];
  readonly licence: string;
  readonly bytes: number;
  /** Whether it is the detector, or the recogniser, that is used. */
  readonly default: boolean;
  /** Its file, by name and size only; null where it is not on this machine. */
  readonly path: string | null;
  /** Where it comes from. */
  readonly source: string;
  /** What is wrong with the file, or with loading it. */
  readonly problem: string | null;
  /** Null unless it was asked for and could be measured. */
  readonly cost: ModelCost | null;
}

/**
 * Lists the models that can be used, on stdout. Nothing is loaded unless it is asked for.
 * @returns the exit code
 * @throws GatewayError 'bad-config'
 */
export async function runModels({ json = false, load = false }: ModelsCommand): Promise<number> {
  const { modelLocations } = loadEngineConfig();
  const { models, detector, recogniser } = wantedModels(modelLocations);
  const listed: ListedModel[] = [];
  // One after the other, so that one's measure is not the other's load.
  for (const entry of models) {
    const isDefault = entry === detector || entry === recogniser;
    listed.push(await listModel(entry, isDefault, modelLocations, load));
  }
  process.stdout.write(json ? `${JSON.stringify(listed, null, 2)}\n` : table(listed, load));
  return 0;
}

async function listModel(
  entry: ModelEntry<ModelKind>,
  isDefault: boolean,
  locations: ModelLocations,
  load: boolean,
): Promise<ListedModel> {
  const { name, kind, family, licence, bytes } = entry;
  const file = await locateModel(entry, locations);
  const isWrong = file && file.bytes !== bytes;
  const problem = isWrong ? `has ${file.bytes} bytes, not ${bytes}. ${file.remedy}` : null;
  const about = { name, kind, family, licence, bytes, default: isDefault, path: file?.path ?? null };
  const listed = { ...about, source: sourceOf(entry, locations), problem, cost: null };
  if (!load || !file || isWrong) return listed;
  const { measureModel } = await import('../../inference/detect/model-cost.ts');
  try {
    return { ...listed, cost: await measureModel(kind, name, locations) };
  } catch (error) {
    return { ...listed, problem: error instanceof Error ? error.message : String(error) };
  }
}

function sourceOf({ source, file }: ModelEntry<ModelKind>, { modelsDir }: ModelLocations): string {
  if (source.type === 'url') return source.url;
  if (source.type === 'npm') return `${source.package} ${source.version}`;
  return `${file} in ${modelsDir}`;
}

function table(models: readonly ListedModel[], isLoaded: boolean): string {
  const rows = [
    ['', 'NAME', 'KIND', 'FAMILY', 'LICENCE', 'SIZE', ...(isLoaded ? ['MEMORY', 'LOAD', 'RUN'] : []), 'WHERE'],
    ...models.map((model) => [
      model.default ? '*' : '',
      model.name,
      model.kind,
      model.family,
      model.licence,
      megabytes(model.bytes),
      ...(isLoaded ? costCells(model.cost) : []),
      whereText(model),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

function costCells(cost: ModelCost | null): string[] {
  if (!cost) return ['-', '-', '-'];
  return [megabytes(cost.memoryBytes), `${Math.round(cost.loadMs)} ms`, `${cost.runMs.toFixed(1)} ms`];
}

function whereText({ path, source, problem }: ListedModel): string {
  if (path === null) return `not here; comes from ${source} when it is asked for`;
  return problem === null ? path : `${path}: ${problem}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
