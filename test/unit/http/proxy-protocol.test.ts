import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { readProxyHeader } from '../../../src/http/proxy-protocol.ts';
import { runs } from '../../support/property-runs.ts';
import { proxyBlock, proxyLine, rawProxyBlock } from '../../support/proxy-header.ts';

const REQUEST = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n';
const port = fc.integer({ min: 0, max: 65_535 });
const pair = fc.oneof(fc.tuple(fc.ipV4(), fc.ipV4()), fc.tuple(fc.ipV6(), fc.ipV6()));
const connection = fc
  .tuple(
    pair,
    port,
    port,
    fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 100 }))),
  )
  .map(([[source, destination], sourcePort, destinationPort, extensions]) => ({
    ...{ source, destination, sourcePort, destinationPort },
    extensions: extensions.slice(0, 5),
  }));
const same = (address: string) => ipaddr.parse(address).toNormalizedString();

describe('a PROXY header', () => {
  it('of either version gives the source, however it is split over packets, and leaves what follows', () => {
    fc.assert(
      fc.property(connection, fc.constantFrom(proxyLine, proxyBlock), (forwarded, write) => {
        const header = write(forwarded);
        const bytes = Buffer.concat([header, Buffer.from(REQUEST)]);
        for (let length = 1; length < header.length; length += 1)
          expect(readProxyHeader(bytes.subarray(0, length))).toEqual({ kind: 'incomplete' });
        for (const length of [header.length, header.length + 1, bytes.length]) {
          const read = readProxyHeader(bytes.subarray(0, length));
          expect(read).toMatchObject({ kind: 'header', bytes: header.length });
          if (read.kind === 'header') expect(same(read.source ?? '')).toBe(same(forwarded.source));
        }
      }),
      runs(200),
    );
  });

  it.each([
    ['a line without addresses', Buffer.from('PROXY UNKNOWN\r\n')],
    ['a line of an unknown family with anything behind it', Buffer.from('PROXY UNKNOWN ffff::1 x y z\r\n')],
    ['LOCAL', rawProxyBlock({ command: 0, family: 0, body: Buffer.alloc(0) })],
    [
      'LOCAL with addresses, which are ignored',
      rawProxyBlock({ command: 0, family: 0x11, body: Buffer.alloc(12, 9) }),
    ],
    [
      'LOCAL of a family that is not known',
      rawProxyBlock({ command: 0, family: 0xf1, body: Buffer.alloc(3) }),
    ],
    ['an unspecified family', rawProxyBlock({ command: 1, family: 0, body: Buffer.alloc(20) })],
    ['a Unix socket', rawProxyBlock({ command: 1, family: 0x31, body: Buffer.alloc(216, 0x2f) })],
  ])('of %s names no client', (_, header) => {
    expect(readProxyHeader(header)).toEqual({ kind: 'header', source: undefined, bytes: header.length });
  });

  it.each([
    ['a line that never ends', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`), '107 bytes'],
    ['a family that is not known', Buffer.from('PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n'), 'family'],
    ['no family', Buffer.from('PROXY \r\n'), 'family'],
    ['IPv6 as TCP4', Buffer.from('PROXY TCP4 ::1 ::2 1 2\r\n'), 'TCP4'],
    ['IPv4 as TCP6', Buffer.from('PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n'), 'TCP6'],
    ['a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n'), 'TCP6'],
    ['a port that is too high', Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n'), 'ports'],
    ['a port with a sign', Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n'), 'ports'],
    ['a missing port', Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n'), 'ports'],
    ['two spaces', Buffer.from('PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n'), 'TCP4'],
    ['more than is asked', Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n'), 'TCP4'],
    [
      'version 3',
      rawProxyBlock({ version: 3, command: 1, family: 0x11, body: Buffer.alloc(12) }),
      'version is 3',
    ],
    [
      'an unknown command',
      rawProxyBlock({ command: 2, family: 0x11, body: Buffer.alloc(12) }),
      'command is 2',
    ],
    ['an unknown family', rawProxyBlock({ command: 1, family: 0x41, body: Buffer.alloc(12) }), 'family is 4'],
    [
      'too few bytes for IPv4',
      rawProxyBlock({ command: 1, family: 0x11, body: Buffer.alloc(11) }),
      'too short',
    ],
    [
      'too few bytes for IPv6',
      rawProxyBlock({ command: 1, family: 0x21, body: Buffer.alloc(35) }),
      'too short',
    ],
    [
      'more than is read',
      rawProxyBlock({ command: 1, family: 0x11, body: Buffer.alloc(60_000) }).subarray(0, 16),
      '60016',
    ],
  ])('with %s is not valid', (_, bytes, why) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: 'invalid', why: expect.stringContaining(why) });
  });

  it.each([
    REQUEST,
    'POST / HTTP/1.1\r\n',
    'PROPFIND / HTTP/1.1\r\n',
    '\r\nGET / HTTP/1.1',
    '\r\n\r\nGET',
    'hello',
    'proxy TCP4 ',
  ])('is not what begins with %j', (text) => {
    expect(readProxyHeader(Buffer.from(text))).toEqual({ kind: 'absent' });
  });

  it('is decided for any bytes: never an error, never waiting for more than it reads, never more bytes than there are', () => {
    const begun = fc.constantFrom(
      '',
      'PROXY ',
      'PROXY TCP4 ',
      '\r\n\r\n\0\r\nQUIT\n',
      '\r\n\r\n\0\r\nQUIT\n\x21\x11\0',
    );
    fc.assert(
      fc.property(begun, fc.uint8Array({ maxLength: 6000, size: 'max' }), (start, random) => {
        const bytes = Buffer.concat([Buffer.from(start, 'latin1'), random]);
        const read = readProxyHeader(bytes);
        if (read.kind === 'incomplete') expect(bytes.length).toBeLessThan(4096);
        if (read.kind === 'header') expect(read.bytes).toBeLessThanOrEqual(bytes.length);
        // More bytes never change what was decided.
        if (read.kind !== 'incomplete')
          expect(readProxyHeader(Buffer.concat([bytes, Buffer.from(REQUEST)]))).toEqual(read);
      }),
      runs(2000),
    );
  });
});
