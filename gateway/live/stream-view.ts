import type { Context } from 'hono';
import type { LiveFace } from '../../inference/live/live-engine.ts';
import { type PublicUrlOptions, streamUrls } from './public-urls.ts';
import { redactSource, redactTarget } from './redact-url.ts';
import type { People } from './stream-policy.ts';
import type { StreamEntry } from './streams.ts';

/** The contract's Stream, without `key`; secrets in its source and push addresses are left out. */
export function streamView(c: Context, { live, policy, policyReason, createdAt }: StreamEntry, urls: PublicUrlOptions) {
  const { record, hls, source, push } = live.settings;
  return {
    id: live.id,
    state: live.state,
    reason: live.reason,
    policy,
    policyReason,
    record,
    hls,
    source: source === null ? null : redactSource(source),
    push: push.map(redactTarget),
    ...streamUrls(c, { id: live.id, packaged: record || hls }, urls),
    createdAt: createdAt.toISOString(),
    startedAt: live.startedAt?.toISOString() ?? null,
    stats: live.stats(),
  };
}

/** The contract's face on screen, as far as events tell it: who it is, only for scope `operate`. */
export function faceView({ track, box, score, identity, visible, reason }: LiveFace, people: Pick<People, 'nameOf'>) {
  const name = identity && people.nameOf(identity.id);
  // Somebody who was erased a moment ago is nobody.
  const known = identity && name !== null ? { id: identity.id, name, similarity: identity.similarity } : null;
  return { track, box, score, identity: known, visible, reason };
}
