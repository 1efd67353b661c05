import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Offers as their makers wrote them: Chromium 156, FFmpeg 8.1's WHIP muxer and werift 0.23 recorded; those of Firefox
 * and of OBS (libdatachannel) written after what these programs are known to send.
 */
export const OFFERS = [
  'chromium-publish',
  'chromium-simulcast',
  'chromium-view',
  'ffmpeg-whip',
  'firefox-publish',
  'obs-publish',
  'werift-publish',
] as const;

export type OfferName = (typeof OFFERS)[number];

/** An offer with the line ends that SDP has on the wire. */
export function offerOf(name: OfferName): string {
  return readFileSync(join(import.meta.dirname, 'offers', `${name}.sdp`), 'utf8').replaceAll('\n', '\r\n');
}
