import { isInterrupted } from './live-window.ts';
import { initName, type StoredSegment, segmentName } from './recording.ts';

export interface PlaylistSegment extends Pick<StoredSegment, 'number' | 'part' | 'durationMs'> {
  readonly recording: string;
  readonly isKept: boolean;
}

export interface PlaylistOptions {
  readonly segments: readonly PlaylistSegment[];
  /** What segments last at most, as they were asked for. */
  readonly segmentMs: number;
  /**
   * `window`: old segments leave it, and it goes on; `event`: it grows, and nothing leaves; `whole`: nothing comes any
   * more.
   */
  readonly kind: 'window' | 'event' | 'whole';
  readonly firstSequence?: number;
  readonly firstDiscontinuity?: number;
  /** The address of a segment or init segment, signed. */
  link(segment: PlaylistSegment, name: string): string;
}

/** A media playlist. @see RFC 8216 §4.3; EXT-X-MAP for fMP4 needs version 6 */
export function writePlaylist(options: PlaylistOptions): string {
  const { segments, kind, firstSequence = 0, firstDiscontinuity = 0, link } = options;
  // It must not change while a playlist is on: segments are as long as keyframes allow, so a little more than asked for.
  const longestMs = Math.max(options.segmentMs, ...segments.map(({ durationMs }) => durationMs));
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${Math.round(longestMs / 1000)}`,
    '#EXT-X-INDEPENDENT-SEGMENTS',
    `#EXT-X-MEDIA-SEQUENCE:${firstSequence}`,
  ];
  if (firstDiscontinuity > 0) lines.push(`#EXT-X-DISCONTINUITY-SEQUENCE:${firstDiscontinuity}`);
  if (kind !== 'window') lines.push(`#EXT-X-PLAYLIST-TYPE:${kind === 'event' ? 'EVENT' : 'VOD'}`);
  let before: PlaylistSegment | undefined;
  for (const segment of segments) {
    if (before && isInterrupted(before, segment)) lines.push('#EXT-X-DISCONTINUITY');
    if (before?.part !== segment.part || before.recording !== segment.recording) {
      lines.push(`#EXT-X-MAP:URI="${link(segment, initName(segment))}"`);
    }
    lines.push(`#EXTINF:${(segment.durationMs / 1000).toFixed(5)},`, link(segment, segmentName(segment)));
    before = segment;
  }
  if (kind === 'whole') lines.push('#EXT-X-ENDLIST');
  return `${lines.join('\n')}\n`;
}
