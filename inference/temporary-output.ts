import { randomUUID } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InferenceError } from './errors.ts';
import { asOutputError } from './media/output-error.ts';

/** A file that appears under its name only when it is whole. */
export class TemporaryOutput {
  /** Where it ends up, as the user says it. */
  readonly name: string;
  /** Where it is written: in the same folder, so that the rename is atomic; hidden, and of no kind that a player opens. */
  readonly path: string;

  constructor(name: string) {
    this.name = name;
    this.path = join(dirname(resolve(name)), `.${basename(name)}.${randomUUID().slice(0, 8)}.part`);
  }

  /** Found out before the work rather than after it. @throws InferenceError 'output-unwritable' */
  async check(): Promise<void> {
    const info = await stat(this.name).catch(() => null);
    if (info?.isDirectory()) throw new InferenceError('output-unwritable', `${this.name} is a folder`);
  }

  /** @throws InferenceError 'output-unwritable' | 'no-space' */
  async publish(): Promise<void> {
    await rename(this.path, this.name).catch((error: unknown) => {
      throw asOutputError(error, this.name);
    });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/**
 * Does work that writes such files, in that order published when it is done.
 * @throws whatever the work throws, without the temporary names, which nobody knows; nothing is left then
 */
export async function writeWhole<T>(outputs: readonly TemporaryOutput[], work: () => Promise<T>): Promise<T> {
  for (const output of outputs) await output.check();
  try {
    const result = await work();
    for (const output of outputs) await output.publish();
    return result;
  } catch (error) {
    await Promise.all(outputs.map((output) => output.remove()));
    if (error instanceof InferenceError) {
      for (const { path, name } of outputs) error.message = error.message.replaceAll(path, name);
    }
    throw error;
  }
}
