/**
 * The PROXY protocol, versions 1 (text) and 2 (binary): the header that a TCP proxy puts before the first byte of a connection to say
 * whose connection it forwards. Pure: all bytes received so far in, what they are out. Nothing longer than MAX_HEADER_BYTES is waited for.
 * Described at https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
 */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

type ProxyHeader =
  /** More bytes are needed to tell. */
  | { readonly kind: 'incomplete' }
  /** The connection begins with something else. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'invalid'; readonly why: string }
  | {
      readonly kind: 'header';
      /** The client’s address; undefined: the proxy does not know it, or asks on its own behalf (a health check). */
      readonly source: string | undefined;
      /** Its length; what follows belongs to the connection. */
      readonly bytes: number;
    };

/** Addresses take 216 bytes at most; the rest is for extensions (TLVs), which are skipped. */
const MAX_HEADER_BYTES = 4096;

const SIGNATURE_1 = Buffer.from('PROXY ');
/** The longest line of version 1, with its line break. */
const MAX_LINE_BYTES = 107;
const SIGNATURE_2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family, length of what follows. */
const HEAD_2_BYTES = 16;

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };
const ABSENT: ProxyHeader = { kind: 'absent' };

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsWith(bytes, SIGNATURE_2)) return bytes.length < HEAD_2_BYTES ? INCOMPLETE : readBinary(bytes);
  if (beginsWith(bytes, SIGNATURE_1)) return bytes.length < SIGNATURE_1.length ? INCOMPLETE : readLine(bytes);
  return ABSENT;
}

/** As far as there are bytes. */
function beginsWith(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.subarray(0, length).equals(signature.subarray(0, length));
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, or `PROXY UNKNOWN` with anything behind it. */
function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE_BYTES).indexOf('\r\n');
  if (end === -1)
    return bytes.length < MAX_LINE_BYTES
      ? INCOMPLETE
      : invalid(`its line is longer than ${MAX_LINE_BYTES} bytes`);
  const [, family = '', ...fields] = bytes.toString('latin1', 0, end).split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { kind: 'header', source: undefined, bytes: length };
  const isAddress = LINE_FAMILIES.get(family);
  if (isAddress === undefined) return invalid('its family is none of TCP4, TCP6 and UNKNOWN');
  const [source = '', destination = '', sourcePort = '', destinationPort = '', ...more] = fields;
  const isValid =
    more.length === 0 &&
    [source, destination].every((address) => isAddress(address)) &&
    [sourcePort, destinationPort].every(isPort);
  return isValid
    ? { kind: 'header', source, bytes: length }
    : invalid(`it has not two ${family} addresses and two ports`);
}

const LINE_FAMILIES: ReadonlyMap<string, (address: string) => boolean> = new Map([
  ['TCP4', isIPv4],
  ['TCP6', (address) => isIPv6(address) && !address.includes('%')],
]);

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

const VERSION_2 = 2;
const LOCAL = 0;
const PROXY = 1;
const FAMILIES = { unspecified: 0, ipv4: 1, ipv6: 2, unix: 3 } as const;
/** By family: where its two addresses (and ports) end, and how long the first is. */
const ADDRESS_BYTES: ReadonlyMap<number, { readonly all: number; readonly source: number }> = new Map([
  [FAMILIES.unspecified, { all: 0, source: 0 }],
  [FAMILIES.ipv4, { all: 12, source: 4 }],
  [FAMILIES.ipv6, { all: 36, source: 16 }],
  // Two paths: no address.
  [FAMILIES.unix, { all: 216, source: 0 }],
]);

function readBinary(bytes: Buffer): ProxyHeader {
  const [version, command] = nibbles(bytes[12]);
  if (version !== VERSION_2) return invalid(`its version is ${version}, not 1 or 2`);
  if (command !== LOCAL && command !== PROXY) return invalid(`its command is ${command}, not LOCAL or PROXY`);
  const length = HEAD_2_BYTES + bytes.readUInt16BE(14);
  if (length > MAX_HEADER_BYTES)
    return invalid(`it has ${length} bytes, more than the ${MAX_HEADER_BYTES} that are read`);
  if (bytes.length < length) return INCOMPLETE;
  // What else a LOCAL header has is to be ignored.
  if (command === LOCAL) return { kind: 'header', source: undefined, bytes: length };
  const [family] = nibbles(bytes[13]);
  const addresses = ADDRESS_BYTES.get(family);
  if (addresses === undefined) return invalid(`its family is ${family}, which is not known`);
  if (length < HEAD_2_BYTES + addresses.all) return invalid('it is too short for its addresses');
  const source = bytes.subarray(HEAD_2_BYTES, HEAD_2_BYTES + addresses.source);
  return { kind: 'header', source: addressOf(source), bytes: length };
}

function nibbles(byte = 0): readonly [number, number] {
  return [byte >> 4, byte & 0x0f];
}

function addressOf(bytes: Buffer): string | undefined {
  return bytes.length === 0 ? undefined : ipaddr.fromByteArray([...bytes]).toString();
}

function invalid(why: string): ProxyHeader {
  return { kind: 'invalid', why };
}
