// A thread of a job's process that holds one model: ONNX Runtime blocks its thread for as long as a run takes.
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** What the thread is started with. */
export interface ModelThreadStart {
  readonly model: Uint8Array;
  readonly threads: number;
}

/** One run: the tensor's memory is shared and must not change until the reply. `null` ends the thread. */
export type ModelThreadRequest = {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  readonly outputs: readonly string[];
} | null;

export type ModelThreadReply =
  | { readonly type: 'loaded' }
  | { readonly type: 'ran'; readonly outputs: Record<string, Float32Array> }
  | { readonly type: 'failed'; readonly message: string };

const port = parentPort!;
const { model, threads } = workerData as ModelThreadStart;
try {
  const session = await InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Plans memory for each size of input and keeps every plan: a fifth more memory, and no time saved.
    enableMemPattern: false,
    // Shape guesses in a dynamic graph are warned of at each new size; only errors matter.
    logSeverityLevel: 3,
  });
  port.on('message', (request: ModelThreadRequest) => void answer(session, request));
  reply({ type: 'loaded' });
} catch (error) {
  reply({ type: 'failed', message: (error as Error).message });
}

async function answer(session: InferenceSession, request: ModelThreadRequest): Promise<void> {
  if (!request) {
    await session.release();
    port.close();
    return;
  }
  try {
    reply({ type: 'ran', outputs: await run(session, request) });
  } catch (error) {
    reply({ type: 'failed', message: (error as Error).message });
  }
}

async function run(
  session: InferenceSession,
  { data, dims, outputs }: NonNullable<ModelThreadRequest>,
): Promise<Record<string, Float32Array>> {
  const results = await session.run({ [session.inputNames[0]!]: new Tensor('float32', data, dims) });
  const copies: Record<string, Float32Array> = {};
  for (const name of outputs) {
    const result = results[name]?.data;
    if (!(result instanceof Float32Array)) throw new Error(`the model has no float output ${name}`);
    copies[name] = new Float32Array(result);
  }
  return copies;
}

function reply(message: ModelThreadReply): void {
  const buffers =
    message.type === 'ran' ? Object.values(message.outputs).map(({ buffer }) => buffer as ArrayBuffer) : [];
  port.postMessage(message, buffers);
}
