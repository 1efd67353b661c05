import type { Detector } from './detector.ts';

/** A detector whose time is taken, be it that it finds or that it fails. */
export function timedDetector(detector: Detector, onTook: (ms: number) => void): Detector {
  return {
    name: detector.name,
    async detect(picture, inputPx, minScore) {
      const started = performance.now();
      try {
        return await detector.detect(picture, inputPx, minScore);
      } finally {
        onTook(performance.now() - started);
      }
    },
    close: () => detector.close(),
  };
}
