import type { types } from 'mediasoup';
import type { Redacted } from '../../inference/blur/redacted.ts';
import type { CodedVideo } from '../../inference/live/coded-media.ts';
import type { RtmpPush } from '../../sfu/push/rtmp-push.ts';
import type { Packetizer } from '../../sfu/rtp/packetizer.ts';
import type { RtpStream } from '../../sfu/rtp/rtp-stream.ts';
import type { RedactedOutput } from '../../sfu/view/redacted-output.ts';
import { RedactedPackets, RedactedProducer } from '../../sfu/view/redacted-producer.ts';
import type { ViewGroup } from '../../sfu/view/view-group.ts';

declare const output: RedactedOutput;
declare const push: RtmpPush;
declare const group: ViewGroup;
declare const raw: CodedVideo;
declare const redacted: Redacted<CodedVideo>;
declare const stream: RtpStream;
declare const packetizer: Packetizer;
declare const packets: readonly Buffer[];
declare const producer: types.Producer;

// An expected error that does not come is an error itself: this file compiles only while raw pictures reach no viewer.

// @ts-expect-error raw frame
output.sendVideo(raw);
// @ts-expect-error raw frame
push.pushVideo(raw);
// @ts-expect-error packets of whatever
group.sendVideo(packets);
// @ts-expect-error raw frame
RedactedPackets.of(raw, stream, packetizer, 0);
// @ts-expect-error nobody but `of` makes them
new RedactedPackets(packets);
// @ts-expect-error nobody but `create` makes one, and it makes its own producer
new RedactedProducer(producer);

output.sendVideo(redacted);
push.pushVideo(redacted);
group.sendVideo(RedactedPackets.of(redacted, stream, packetizer, 0));
