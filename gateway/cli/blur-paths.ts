import { accessSync, constants, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { GatewayError } from '../errors.ts';

export interface BlurPaths {
  readonly input: string;
  readonly output: string;
  readonly report?: string;
}

/**
 * Checks the files of one `blur` before any work starts, so that nothing of the user's can be overwritten by mistake.
 * @returns absolute paths
 * @throws GatewayError 'bad-argument'
 */
export function checkBlurPaths(wanted: BlurPaths): BlurPaths {
  const input = resolve(wanted.input);
  checkInput(input, wanted.input);
  const output = resolve(wanted.output);
  checkTarget(output, wanted.output);
  refuseSame(input, output, `the output is the input itself: ${wanted.output}; write to another file`);
  if (wanted.report === undefined) return { input, output };
  const report = resolve(wanted.report);
  checkTarget(report, wanted.report);
  refuseSame(input, report, `the report would overwrite the input: ${wanted.report}`);
  refuseSame(output, report, `the report would overwrite the output: ${wanted.report}`);
  return { input, output, report };
}

function checkInput(path: string, shown: string): void {
  const stats = statOf(path, `cannot read ${shown}`);
  if (stats === null) throw badArgument(`cannot read ${shown}: no such file`);
  if (stats.isDirectory()) throw badArgument(`cannot read ${shown}: it is a folder, not a video`);
  if (!stats.isFile()) throw badArgument(`cannot read ${shown}: it is not a regular file`);
  if (!may(path, constants.R_OK)) throw badArgument(`cannot read ${shown}: permission denied`);
}

function checkTarget(path: string, shown: string): void {
  const folder = dirname(path);
  const folderStats = statOf(folder, `cannot write ${shown}`);
  if (folderStats === null) throw badArgument(`cannot write ${shown}: folder ${dirname(shown)} does not exist`);
  if (!folderStats.isDirectory()) throw badArgument(`cannot write ${shown}: ${dirname(shown)} is not a folder`);
  const stats = statOf(path, `cannot write ${shown}`);
  if (stats?.isDirectory()) throw badArgument(`cannot write ${shown}: it is a folder`);
  // The result replaces what is there by a rename, which must never happen to a device like /dev/null.
  if (stats && !stats.isFile()) throw badArgument(`cannot write ${shown}: it is not a regular file`);
  if (!may(folder, constants.W_OK | constants.X_OK)) {
    throw badArgument(`cannot write ${shown}: folder ${dirname(shown)} is not writable`);
  }
}

function refuseSame(a: string, b: string, message: string): void {
  const [statsA, statsB] = [statOf(a, message), statOf(b, message)];
  const linked = statsA && statsB && statsA.dev === statsB.dev && statsA.ino === statsB.ino;
  if (linked || realTarget(a) === realTarget(b)) throw badArgument(message);
}

function realTarget(path: string): string {
  return join(realpathSync(dirname(path)), basename(path));
}

function statOf(path: string, message: string): Stats | null {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    const reasons: Readonly<Record<string, string>> = {
      EACCES: 'permission denied',
      ELOOP: 'its links go round in a circle',
      ENAMETOOLONG: 'the name is too long',
      ENOTDIR: 'a part of the path is not a folder',
    };
    throw badArgument(`${message}: ${reasons[code ?? ''] ?? code}`);
  }
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function badArgument(message: string): GatewayError {
  return new GatewayError('bad-argument', message);
}
