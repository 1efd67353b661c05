import { pino } from 'pino';
import { blurFile } from '../../inference/blur-file.ts';
import { resolveDetector } from '../../models/resolve.ts';
import { loadServerConfig } from '../config.ts';
import { Server } from '../server.ts';
import { Interrupt } from './interrupt.ts';
import { wantedModels } from './wanted-models.ts';

/** A server that has not closed by then is ended hard, so that a supervisor's own deadline is never met. */
const CLOSE_DEADLINE_MS = 4500;

/**
 * Runs the gateway until a signal ends it.
 * @returns the exit code
 * @throws GatewayError 'bad-config' | 'cannot-listen'
 */
export async function runServe(): Promise<number> {
  const config = loadServerConfig();
  wantedModels(config.modelLocations);
  const log = pino({ level: config.logLevel }, pino.destination(2));
  const interrupt = new Interrupt();
  const models = { ...config.modelLocations, allowDownload: false };
  const ready = () => resolveDetector(models, () => {});
  // Once, and at the start: a detector that live video is too fast for must not go unnoticed. `/readyz` tells of none.
  await resolveDetector(models, (message) => log.warn(message)).catch((error) =>
    log.error({ err: error }, 'no detector'),
  );
  const server = await Server.create({ config, blurFile, ready, log });
  const { hostname } = new URL(server.url);
  process.stdout.write(`FaceBlur Gateway on ${server.url}\nRTMP on rtmp://${hostname}:${server.rtmpPort}/live\n`);
  await new Promise<void>((resolve) => {
    if (interrupt.signal.aborted) resolve();
    interrupt.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const deadline = setTimeout(() => process.exit(1), CLOSE_DEADLINE_MS);
  await server.close();
  clearTimeout(deadline);
  return 0;
}
