import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import {
  clientAddress,
  isLoopbackAddress,
  isTrustedProxy,
  limitKey,
  parseRanges,
} from '../../../src/http/client-address.ts';
import { runs } from '../../support/property-runs.ts';

describe('the client’s address', () => {
  const trust = {
    trustedProxies: parseRanges(['10.0.0.0/8', '::1', '192.0.2.7', '::ffff:172.16.0.0/108']),
    trustedHops: 0,
  };
  it.each([
    ['the peer, without a proxy', '203.0.113.5', undefined, '203.0.113.5'],
    ['the peer, when it is not a trusted proxy', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
    ['what a trusted proxy says', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['the first untrusted hop from the right', '10.1.2.3', '1.1.1.1, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
    ['not the leftmost entry, which anybody can write', '10.1.2.3', '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    ['what a proxy says that is listed in mapped form', '172.16.0.9', '198.51.100.1', '198.51.100.1'],
    ['an IPv4-mapped proxy', '::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['without the port that some proxies add', '10.1.2.3', '198.51.100.1:4711', '198.51.100.1'],
    ['an IPv6 address in brackets', '::1', '[2001:db8::5]:443', '2001:db8::5'],
    ['the last hop that is an address', '10.1.2.3', 'garbage, 10.9.9.9', '10.9.9.9'],
    ['the farthest proxy, when all are trusted', '10.1.2.3', '10.0.0.1', '10.0.0.1'],
  ])('is %s', (_, peer, header, expected) => {
    expect(clientAddress(peer, header, trust)).toBe(expected);
  });
});

describe('the client’s address, where proxies are counted', () => {
  const hops = (trustedHops: number, trusted: readonly string[] = []) => ({
    trustedProxies: parseRanges(trusted),
    trustedHops,
  });
  it.each([
    ['the peer, where no proxy wrote', hops(1), '203.0.113.5', undefined, '203.0.113.5'],
    ['the last entry, behind one proxy', hops(1), '203.0.113.5', '6.6.6.6, 198.51.100.1', '198.51.100.1'],
    [
      'the last but one, behind two',
      hops(2),
      '203.0.113.5',
      '6.6.6.6, 198.51.100.1, 1.1.1.1',
      '198.51.100.1',
    ],
    [
      'the first entry, where there are fewer',
      hops(3),
      '203.0.113.5',
      '198.51.100.1, 1.1.1.1',
      '198.51.100.1',
    ],
    ['the last hop that is an address', hops(2), '203.0.113.5', '198.51.100.1, garbage, 1.1.1.1', '1.1.1.1'],
    ['the peer, where the last is none', hops(2), '203.0.113.5', '198.51.100.1, garbage', '203.0.113.5'],
    [
      'counted also through trusted addresses',
      hops(1, ['10.0.0.0/8']),
      '10.1.1.1',
      '6.6.6.6, 10.2.2.2',
      '10.2.2.2',
    ],
    [
      'counted past addresses that are not',
      hops(2, ['10.0.0.0/8']),
      '10.1.1.1',
      '198.51.100.1, 1.1.1.1',
      '198.51.100.1',
    ],
    [
      'the peer, which is no trusted proxy',
      hops(2, ['10.0.0.0/8']),
      '203.0.113.5',
      '6.6.6.6, 7.7.7.7',
      '203.0.113.5',
    ],
  ])('is %s', (_, trust, peer, header, expected) => {
    expect(clientAddress(peer, header, trust)).toBe(expected);
  });

  it('is never what a client writes, whatever that is: each proxy appends the address that it sees', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 5 }),
        fc.ipV4(),
        fc.array(fc.ipV4(), { minLength: 1, maxLength: 4 }),
        (forged, client, proxies) => {
          // The client asks the first proxy, which appends its address, and so on; the last one connects here.
          const peer = proxies.at(-1) ?? '';
          const header = [...forged, client, ...proxies.slice(0, -1)].join(', ');
          expect(clientAddress(peer, header, hops(proxies.length))).toBe(client);
        },
      ),
      runs(400),
    );
  });
});

describe('the key an address is limited by', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['2001:db8:1:2:ffff::1', '2001:db8:1:2::'],
    ['fe80::1%eth0', 'fe80::'],
    ['unknown', 'unknown'],
    ['64:ff9b::192.0.2.1', '64:ff9b::'],
    ['64:ff9b::8.8.4.4', '8.8.4.4'],
    ['64:ff9b:1:fffe::10.1.2.3', '10.1.2.3'],
    ['64:ff9b:1:a:8:808:400::', '8.8.8.4'],
    ['2002:808:404:1:2:3:4:5', '8.8.4.4'],
    ['2001:0:4136:e378:8000:63bf:f7f7:fbfb', '8.8.4.4'],
    ['::8.8.4.4', '8.8.4.4'],
    ['::ffff:0:8.8.4.4', '8.8.4.4'],
    ['::1', '::'],
    ['2002:7f00:1::1', '2002:7f00:1::'],
    ['64:ff9b::127.0.0.1', '64:ff9b::'],
  ])('%s → %s', (address, key) => {
    expect(limitKey(address)).toBe(key);
  });
});

describe('IPv6 that stands for an IPv4 address counts as that address', () => {
  /** One that a host can have, and that does not end in a zero. */
  const ipv4 = fc
    .tuple(...[0, 0, 0, 1].map((min) => fc.integer({ min, max: 255 })))
    .map((bytes) => new ipaddr.IPv4(bytes))
    .filter((address) => ['unicast', 'private', 'carrierGradeNat'].includes(address.range()));
  const bytes = (length: number) =>
    fc.array(fc.integer({ min: 0, max: 255 }), { minLength: length, maxLength: length });
  const zeros = (count: number) => Array.from({ length: count }, () => 0);
  const LOCAL = [0x00, 0x64, 0xff, 0x9b, 0x00, 0x01];
  type Written = (ipv4: readonly number[], random: readonly number[]) => readonly number[];
  it.each<[string, Written]>([
    ['mapped', (address) => [...zeros(10), 0xff, 0xff, ...address]],
    ['NAT64', (address) => [0, 0x64, 0xff, 0x9b, ...zeros(8), ...address]],
    [
      'a local NAT64 prefix of 96 bits',
      (address, r) => [...LOCAL, ...r.slice(0, 2), 0, ...r.slice(2, 5), ...address],
    ],
    [
      'a local NAT64 prefix of 64 bits',
      (address, r) => [...LOCAL, ...r.slice(0, 2), 0, ...address, ...zeros(3)],
    ],
    [
      'a local NAT64 prefix of 56 bits',
      ([a = 0, ...more], r) => [...LOCAL, ...r.slice(0, 1), a, 0, ...more, ...zeros(4)],
    ],
    [
      'a local NAT64 prefix of 48 bits',
      ([a = 0, b = 0, ...more]) => [...LOCAL, a, b, 0, ...more, ...zeros(5)],
    ],
    ['6to4', (address, r) => [0x20, 0x02, ...address, ...r]],
    ['Teredo', (address, r) => [0x20, 0x01, 0, 0, ...r.slice(0, 8), ...address.map((byte) => byte ^ 0xff)]],
    ['IPv4-translated', (address) => [...zeros(8), 0xff, 0xff, 0, 0, ...address]],
  ])('%s', (_, write) => {
    fc.assert(
      fc.property(ipv4, bytes(10), (address, random) => {
        const written = new ipaddr.IPv6([...write(address.toByteArray(), random)]);
        expect(limitKey(written.toString())).toBe(address.toString());
      }),
      runs(400),
    );
  });

  it('and none of it makes an address a trusted one, or one of this machine', () => {
    const trust = { trustedProxies: parseRanges(['10.0.0.0/8', '127.0.0.1']), trustedHops: 0 };
    for (const address of ['64:ff9b::10.1.1.1', '2002:a01:101::1', '64:ff9b::127.0.0.1', '::127.0.0.1']) {
      expect(isTrustedProxy(address, trust)).toBe(false);
      expect(isLoopbackAddress(address)).toBe(false);
    }
  });
});
