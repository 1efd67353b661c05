import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { InferenceError } from '../errors.ts';

/**
 * Loads a graph for the CPU.
 * @throws InferenceError 'model-unusable'
 */
export async function openSession(name: string, model: Uint8Array, threads: number): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // Shape guesses in a dynamic graph are warned of at each new size; only errors matter.
      logSeverityLevel: 3,
    });
  } catch (error) {
    throw new InferenceError('model-unusable', `model ${name} does not load: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Runs a graph of one input. It blocks this thread for as long as the inference takes. */
export async function runSession(session: InferenceSession, input: Tensor): Promise<InferenceSession.OnnxValueMapType> {
  const [name] = session.inputNames;
  try {
    return await session.run({ [name!]: input });
  } catch (error) {
    throw new InferenceError('run-failed', `inference failed: ${(error as Error).message}`, { cause: error });
  }
}

/** @returns the data of a float32 output, borrowed until the next run */
export function floats(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = outputs[name]?.data;
  if (!(data instanceof Float32Array))
    throw new InferenceError('model-unusable', `the model has no float output ${name}`);
  return data;
}
