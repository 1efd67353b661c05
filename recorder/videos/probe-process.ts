import { AV_LOG_FATAL, Log } from 'node-av';
import { asInferenceError } from '../../inference/errors.ts';
import { InputFile } from '../../inference/media/input-file.ts';
import type { ProbeMessage } from './probe.ts';

// The entry point of a probe's own process: a path comes in, what the file's header says goes out.
process.once('message', (path: string) => {
  Log.setLevel(AV_LOG_FATAL);
  void probe(path).then((answer) => process.send?.(answer));
});
process.once('disconnect', () => process.exit(1));

async function probe(path: string): Promise<ProbeMessage> {
  try {
    const input = await InputFile.open(path);
    const { width, height } = input.video.codecpar;
    const answer = { probe: { width, height, durationSeconds: input.durationSeconds } };
    await input.close();
    return answer;
  } catch (error) {
    const { code, message } = asInferenceError(error, 'run-failed', 'the header can not be read');
    return { code, message };
  }
}
