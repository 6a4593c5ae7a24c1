/** The address of a client: the peer's, or the one that trusted proxies report; and the key by which it is limited. Pure. */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { embeddedIPv4 } from './embedded-ipv4.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type AddressRange = readonly [Address, number];

/** Which proxies are believed. */
export interface ProxyTrust {
  readonly trustedProxies: readonly AddressRange[];
  /** Above 0: so many proxies in front append to X-Forwarded-For. */
  readonly trustedHops: number;
}

/** Networks of this length count as one IPv6 client: providers hand out a /64 at least. */
const IPV6_CLIENT_PREFIX_BITS = 64;

export function parseRanges(ranges: readonly string[]): AddressRange[] {
  return ranges.map((range) => {
    if (range.includes('/')) return foldMapped(ipaddr.parseCIDR(range));
    const address = ipaddr.process(range);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  });
}

/** `::ffff:10.0.0.0/104` is `10.0.0.0/8`: addresses are compared in their IPv4 form. */
function foldMapped([address, bits]: [Address, number]): AddressRange {
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96;
  return isMapped ? [address.toIPv4Address(), bits - 96] : [address, bits];
}

export function isInRanges(address: string, ranges: readonly AddressRange[]): boolean {
  if (ranges.length === 0) return false;
  const parsed = parseAddress(address);
  return (
    parsed !== undefined &&
    ranges.some((range) => parsed.kind() === range[0].kind() && parsed.match(range as [ipaddr.IPv4, number]))
  );
}

/** Whether X-Forwarded-For counts on connections from there. Where proxies are told by their number alone, every peer is one. */
export function isTrustedProxy(address: string, { trustedProxies, trustedHops }: ProxyTrust): boolean {
  return trustedProxies.length === 0 ? trustedHops > 0 : isInRanges(address, trustedProxies);
}

/**
 * Walks X-Forwarded-For from the right, as each entry was written by the hop after it, and stops after as many entries as there are
 * hops, or else at the first address that is not a trusted proxy: everything to its left could be forged by the client.
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trust: ProxyTrust): string {
  let address = canonical(peer);
  if (forwardedFor === undefined || !isTrustedProxy(address, trust)) return address;
  const { trustedProxies, trustedHops } = trust;
  const entries = forwardedFor.split(',').reverse();
  for (const [passed, entry] of entries.entries()) {
    if (trustedHops > 0 ? passed === trustedHops : !isInRanges(address, trustedProxies)) return address;
    const parsed = parseAddress(stripPort(entry.trim()));
    if (!parsed) return address;
    address = parsed.toString();
  }
  return address;
}

/**
 * One key per client: IPv6 that stands for an IPv4 address (mapped, or of a translator or tunnel) is that address, other IPv6 counts by
 * its /64.
 */
export function limitKey(address: string): string {
  const parsed = parseAddress(address);
  if (!parsed) return address;
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  const ipv4 = embeddedIPv4(parsed);
  if (ipv4 !== undefined) return ipv4.toString();
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${IPV6_CLIENT_PREFIX_BITS}`).toString();
}

function canonical(address: string): string {
  if (isIPv4(address)) return address;
  return parseAddress(address)?.toString() ?? address;
}

export function isLoopbackAddress(address: string): boolean {
  return parseAddress(address)?.range() === 'loopback';
}

/** IPv4-compatible, as the system writes it; the library would take it for IPv4-mapped, and so for the IPv4 address itself. */
const COMPATIBLE = /^::(?=\d+\.)/;

function parseAddress(address: string): Address | undefined {
  const withoutZone = address.split('%')[0] ?? '';
  if (!ipaddr.isValid(withoutZone)) return undefined;
  return ipaddr.process(withoutZone.replace(COMPATIBLE, '0:0:0:0:0:0:'));
}

/** `1.2.3.4:5678` and `[::1]:5678`, as some proxies write them. */
function stripPort(hop: string): string {
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(hop);
  if (bracketed?.[1]) return bracketed[1];
  return /^\d+\.\d+\.\d+\.\d+:\d+$/.test(hop) ? (hop.split(':')[0] ?? hop) : hop;
}
