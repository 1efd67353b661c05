import { loadModels } from './manifest.ts';
import { type ResolvedModel, type ResolveOptions, resolveDetector, resolveModel } from './resolve.ts';

/** Where `ensureModels` says what it did, a line a call. */
export interface SetupReport {
  /** Something new was made. */
  done(line: string): void;
  /** It goes on, with less. */
  warn(line: string): void;
}

/**
 * Makes both detectors ready: the fallback always, the preferred one where it is to be had. Says nothing when all is
 * there already.
 * @throws ModelError as `resolveModel` does; that the preferred detector is 'not-found' is only a warning
 */
export async function ensureModels(options: ResolveOptions, report: SetupReport): Promise<void> {
  const withModels = { models: loadModels(options.modelsDir), ...options };
  reportNew(await resolveModel('ssd-mobilenet-v1', withModels), report);
  reportNew(await resolveDetector(withModels, report.warn), report);
}

function reportNew({ entry, path, bytes, origin }: ResolvedModel, report: SetupReport): void {
  if (origin !== 'downloaded' && origin !== 'converted') return;
  report.done(`${origin} ${entry.name} (${(bytes.length / 1e6).toFixed(1)} MB) to ${path}`);
}
