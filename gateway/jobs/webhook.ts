import { createHmac } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { type AddressGuardOptions, resolvePublicAddress } from '../../sfu/address-guard.ts';

export interface WebhookTarget {
  /** http:// or https://; only its host is ever logged. */
  readonly url: string;
  /** A secret that the receiver has as well. */
  readonly secret: string;
}

const ANSWER_LIMIT_MS = 10_000;

/**
 * What a receiver checks: `t` is when it was signed, in seconds since 1970, and `v1` HMAC-SHA-256 over `t`, a dot and
 * the body, in hex. An old `t` is somebody repeating what they overheard.
 */
export function signature(secret: string, body: string, atMs: number): string {
  const t = Math.floor(atMs / 1000);
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`;
}

/**
 * Sends one message. Names are resolved once, and what is connected to is what was looked at; redirects are not
 * followed.
 * @param delivery the same for each try at one message
 * @throws what went wrong, an answer that is no 2xx included
 */
export async function sendWebhook(
  { url, secret }: WebhookTarget,
  { delivery, body }: { readonly delivery: string; readonly body: string },
  guard: AddressGuardOptions,
): Promise<void> {
  const { protocol, hostname, host, port, pathname, search } = new URL(url);
  const name = hostname.replace(/^\[(.*)\]$/, '$1');
  const address = await resolvePublicAddress(hostname, guard);
  const request = protocol === 'https:' ? requestHttps : requestHttp;
  const status = await new Promise<number>((resolve, reject) => {
    const sent = request(
      {
        host: address,
        port,
        method: 'POST',
        path: pathname + search,
        ...(isIP(name) === 0 && { servername: name }),
        headers: {
          host,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'faceblur-delivery': delivery,
          'faceblur-signature': signature(secret, body, Date.now()),
        },
        // One a message: they are few.
        agent: false,
        signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      },
      (response) => {
        resolve(response.statusCode ?? 0);
        // Nobody reads it, however long it is.
        response.destroy();
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
  if (status < 200 || status > 299) throw new Error(`the receiver answered ${status}`);
}
