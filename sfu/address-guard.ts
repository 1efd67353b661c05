import { lookup as dnsLookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { SfuError } from './errors.ts';

/** All addresses of a name, as `dns.lookup` with `all` gives them. */
export type Lookup = (hostname: string) => Promise<readonly { readonly address: string }[]>;

export interface AddressGuardOptions {
  /** ALLOW_PRIVATE_SOURCES: addresses of this machine and its networks are let through. */
  readonly allowPrivate: boolean;
  /** The system's resolver when left out. */
  readonly lookup?: Lookup;
}

const LOOKUP_TIMEOUT_MS = 5_000;

/** IPv4 that is not the public Internet's (IANA special-purpose registry, RFC 6890). */
const SPECIAL_V4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  // RFC 6598: carrier-grade NAT.
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  // 6to4 relays: what is behind them is embedded in IPv6.
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** Parts of 2000::/3, the only global unicast there is, that are special or carry an IPv4 address inside. */
const SPECIAL_V6: readonly [string, number][] = [
  // Teredo, ORCHID and other protocol assignments.
  ['2001::', 23],
  ['2001:db8::', 32],
  // 6to4.
  ['2002::', 16],
  ['3fff::', 20],
];

const special = new BlockList();
for (const [network, prefix] of SPECIAL_V4) special.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of SPECIAL_V6) special.addSubnet(network, prefix, 'ipv6');
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');

/**
 * Finds the one address to connect to. Connect to what it returns, never to the name again: that could resolve to
 * something else by then.
 * @param hostname a name or an address in any spelling a URL allows, IPv6 with or without brackets
 * @throws SfuError 'source-refused' when any of its addresses is not public, 'source-unreachable' when it has none
 */
export async function resolvePublicAddress(hostname: string, options: AddressGuardOptions): Promise<string> {
  const host = canonical(hostname);
  const addresses = isIP(host) ? [host] : await lookUp(host, options.lookup ?? systemLookup);
  if (!options.allowPrivate && !addresses.every(isPublicAddress)) {
    throw new SfuError('source-refused', `${host} is not on the public Internet`);
  }
  // Not every machine has a way out by IPv6; every server that has a name for it has one by IPv4.
  return addresses.find((address) => isIP(address) === 4) ?? addresses[0]!;
}

/** @param address an IP address in its usual spelling */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, 'ipv4');
    case 6:
      // IPv4-mapped, NAT64, loopback, unique-local, link-local and multicast all lie outside of 2000::/3.
      return globalUnicast.check(address, 'ipv6') && !special.check(address, 'ipv6');
    default:
      return false;
  }
}

/** `0x7f.1`, `2130706433`, `0177.0.0.1` and full-width digits become the address that a resolver would make of them. */
function canonical(hostname: string): string {
  const bare = hostname.replace(/^\[(.*)\]$/s, '$1');
  const url = `http://${isIP(bare) === 6 ? `[${bare}]` : bare}/`;
  // Whatever ends a host in a URL, or begins one.
  const isOnlyHost = isIP(bare) === 6 || !/[/?#@:\\\s[\]]/.test(bare);
  if (isOnlyHost && URL.canParse(url)) {
    const { hostname: host } = new URL(url);
    if (host !== '') return host.replace(/^\[(.*)\]$/, '$1');
  }
  throw new SfuError('source-refused', 'its host is not one');
}

const systemLookup: Lookup = (hostname) => dnsLookup(hostname, { all: true });

async function lookUp(hostname: string, lookup: Lookup): Promise<string[]> {
  const late = AbortSignal.timeout(LOOKUP_TIMEOUT_MS);
  try {
    const answers = await Promise.race([
      lookup(hostname),
      new Promise<never>((_, reject) => {
        late.addEventListener('abort', () => reject(new Error('no answer in time')), { once: true });
      }),
    ]);
    const addresses = answers.map(({ address }) => address);
    if (addresses.length > 0 && addresses.every((address) => isIP(address) !== 0)) return addresses;
  } catch (cause) {
    throw new SfuError('source-unreachable', `${hostname} can not be resolved`, { cause });
  }
  throw new SfuError('source-unreachable', `${hostname} has no address`);
}
