import type { Context } from 'hono';
import { type PublicUrlOptions, streamUrls } from './public-urls.ts';
import { redactSource, redactTarget } from './redact-url.ts';
import type { StreamEntry } from './streams.ts';

/** The contract's Stream, without `key`; secrets in its source and push addresses are left out. */
export function streamView(c: Context, { live, policy, createdAt }: StreamEntry, urls: PublicUrlOptions) {
  const { record, hls, source, push } = live.settings;
  return {
    id: live.id,
    state: live.state,
    reason: live.reason,
    policy,
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
