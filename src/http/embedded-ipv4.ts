/**
 * The IPv4 address that an IPv6 address stands for: translators (NAT64, SIIT) and tunnels (6to4, Teredo) write the address of an IPv4
 * host into one of IPv6. Without it, all hosts behind a translator would count as one /64, and one host with 6to4 as 65,536. Pure.
 */
import ipaddr from 'ipaddr.js';

interface Form {
  /** The first bytes of its addresses. */
  readonly prefix: readonly number[];
  /** The four bytes of the IPv4 address in the sixteen of the other; undefined: there are none. */
  readonly read: (bytes: readonly number[]) => readonly number[] | undefined;
}

const last = (bytes: readonly number[]) => bytes.slice(12);

const FORMS: readonly Form[] = [
  // NAT64, 64:ff9b::/96 (RFC 6052).
  { prefix: [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], read: last },
  // Local NAT64, 64:ff9b:1::/48 (RFC 8215).
  { prefix: [0x00, 0x64, 0xff, 0x9b, 0x00, 0x01], read: ofLocalTranslator },
  // 6to4, 2002::/16 (RFC 3056).
  { prefix: [0x20, 0x02], read: (bytes) => bytes.slice(2, 6) },
  // Teredo, 2001::/32 (RFC 4380): inverted.
  { prefix: [0x20, 0x01, 0, 0], read: (bytes) => last(bytes).map((byte) => byte ^ 0xff) },
  // IPv4-translated, ::ffff:0:0:0/96 (RFC 2765).
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0], read: last },
  // IPv4-compatible, ::/96 (RFC 4291).
  { prefix: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], read: last },
];

/** Others can have no client behind them, such as 127.0.0.1 in a 6to4 address: that one counts as it is. */
const CLIENT_RANGES: ReadonlySet<string> = new Set(['unicast', 'private', 'carrierGradeNat']);

export function embeddedIPv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray();
  const form = FORMS.find(({ prefix }) => prefix.every((byte, at) => bytes[at] === byte));
  const found = form?.read(bytes);
  if (found === undefined) return undefined;
  const ipv4 = new ipaddr.IPv4([...found]);
  return CLIENT_RANGES.has(ipv4.range()) ? ipv4 : undefined;
}

/**
 * The prefix of a local translator has 96, 64, 56 or 48 bits, and the address does not say how many. Up to 64, what follows the IPv4
 * address is zero, as is the ninth byte, which no form uses (RFC 6052, 2.2). So the last byte that is not zero ends the IPv4 address.
 * Behind such a prefix, the few IPv4 addresses that end in a zero themselves are taken for others.
 */
function ofLocalTranslator(bytes: readonly number[]): readonly number[] | undefined {
  if (bytes[8] !== 0) return undefined;
  const end = bytes.findLastIndex((byte) => byte !== 0);
  if (end >= 13) return last(bytes);
  const start = LOCAL_STARTS.get(end);
  // Without the ninth byte.
  return start === undefined ? undefined : [...bytes.slice(start, 8), ...bytes.slice(9, end + 1)].slice(0, 4);
}

/** By the place of its last byte: the first byte of an IPv4 address behind a prefix of 64, 56 or 48 bits. */
const LOCAL_STARTS: ReadonlyMap<number, number> = new Map([
  [12, 9],
  [11, 7],
  [10, 6],
]);
