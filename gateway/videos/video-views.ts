import type { Video } from '../../recorder/videos/video.ts';
import { rounded } from '../stills/views.ts';
import type { UploadAddresses } from './video-uploads.ts';
import type { VideoFace } from './videos.ts';

/** The contract's video. */
export function videoView(video: Video, retentionMs: number | null) {
  const { id, title, filename, state, facts, size, error, job, createdAt } = video;
  return {
    id,
    title,
    filename,
    state,
    width: facts?.width ?? null,
    height: facts?.height ?? null,
    fps: facts?.fps ?? null,
    durationMs: facts?.durationMs ?? null,
    size,
    faces: facts?.people ?? null,
    error,
    job,
    expiresAt: retentionMs === null ? null : new Date(createdAt.getTime() + retentionMs).toISOString(),
    createdAt: createdAt.toISOString(),
  };
}

/** The contract's `upload`, its addresses absolute. */
export function uploadView(upload: UploadAddresses, base: string) {
  const absolute = (url: string) => new URL(url, base).href;
  const expiresAt = upload.expiresAt.toISOString();
  if ('parts' in upload) {
    const parts = upload.parts.map(({ number, url }) => ({ number, url: absolute(url) }));
    return { ...upload, parts, expiresAt };
  }
  return { ...upload, url: absolute(upload.url), expiresAt };
}

/** The contract's face of a video, its picture as a data: URL: nothing of it can be asked for without the credential. */
export function faceView({ person, identity, visible }: VideoFace, nameOf: (identity: string) => string | null) {
  const { face, thumbnail, ranges, firstFrame, lastFrame } = person;
  const name = identity && nameOf(identity.id);
  return {
    face,
    thumbnail: thumbnail && `data:image/jpeg;base64,${Buffer.from(thumbnail).toString('base64')}`,
    appearances: ranges.length,
    firstFrame,
    lastFrame,
    ranges,
    // Somebody who was erased a moment ago is nobody.
    identity: identity && name !== null ? { id: identity.id, name, similarity: rounded(identity.similarity, 3) } : null,
    visible,
  };
}
