import { describe, expect, it } from 'vitest';
import { clientAddress, limitKey, parseRanges } from '../../../src/http/client-address.ts';

describe('the client’s address', () => {
  const trusted = parseRanges(['10.0.0.0/8', '::1', '192.0.2.7', '::ffff:172.16.0.0/108']);
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
    expect(clientAddress(peer, header, trusted)).toBe(expected);
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
  ])('%s → %s', (address, key) => {
    expect(limitKey(address)).toBe(key);
  });
});
