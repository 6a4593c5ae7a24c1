import { describe, expect, it } from 'vitest';
import { parseRanges } from '../../../src/http/client-address.ts';
import { ConnectionLimit } from '../../../src/http/connection-limit.ts';

const limitOf = (maxConnections: number, maxPerAddress: number) =>
  new ConnectionLimit({
    maxConnections,
    maxConnectionsPerAddress: maxPerAddress,
    trustedProxies: parseRanges(['10.0.0.0/8']),
    trustedHops: 0,
  });

const admitted = (limit: ConnectionLimit, address: string) => 'close' in limit.admit(address);

describe('connections of one address', () => {
  it('are refused above the bound, and admitted again when one has closed', () => {
    const limit = limitOf(100, 2);
    const first = limit.admit('192.0.2.1');
    expect(admitted(limit, '192.0.2.1')).toBe(true);
    expect(limit.admit('192.0.2.1')).toEqual({ exceeds: 'max_connections_per_address' });
    expect(admitted(limit, '192.0.2.2')).toBe(true);
    if ('close' in first) {
      first.close();
      first.close();
    }
    expect(limit.open).toBe(2);
    expect(admitted(limit, '192.0.2.1')).toBe(true);
    expect(admitted(limit, '192.0.2.1')).toBe(false);
  });

  it.each([
    ['the same in its IPv6 form', '192.0.2.1', '::ffff:192.0.2.1'],
    ['one of its own /64', '2001:db8::1', '2001:db8::ffff:2'],
  ])('count with %s', (_, address, same) => {
    const limit = limitOf(100, 1);
    expect(admitted(limit, address)).toBe(true);
    expect(admitted(limit, same)).toBe(false);
  });

  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', '10.1.2.3', '::ffff:10.1.2.3'])(
    '%s is exempt from that bound, not from the one of all',
    (address) => {
      const limit = limitOf(3, 1);
      for (let count = 0; count < 3; count += 1) expect(admitted(limit, address)).toBe(true);
      expect(limit.admit(address)).toEqual({ exceeds: 'max_connections' });
    },
  );
});

describe('a connection whose client a proxy names', () => {
  const opened = (limit: ConnectionLimit) => {
    const admission = limit.admit('10.1.2.3');
    if ('exceeds' in admission) throw new Error(admission.exceeds);
    return admission;
  };

  it('counts for that client, until it closes', () => {
    const limit = limitOf(100, 2);
    const [first, second, third] = [opened(limit), opened(limit), opened(limit)];
    expect(first.moveTo('192.0.2.1')).toBeUndefined();
    expect(second.moveTo('192.0.2.1')).toBeUndefined();
    expect(third.moveTo('192.0.2.1')).toBe('max_connections_per_address');
    expect(third.moveTo('192.0.2.2')).toBeUndefined();
    expect(admitted(limit, '192.0.2.1')).toBe(false);
    first.close();
    expect(third.moveTo('192.0.2.1')).toBeUndefined();
    for (const admission of [second, third]) admission.close();
    expect(limit.open).toBe(0);
    expect(admitted(limit, '192.0.2.1')).toBe(true);
  });

  it('counts also where the client is a program of the proxy’s machine', () => {
    const limit = limitOf(100, 1);
    expect(opened(limit).moveTo('127.0.0.1')).toBeUndefined();
    expect(opened(limit).moveTo('127.0.0.1')).toBe('max_connections_per_address');
  });

  it('does not where the client is another trusted proxy', () => {
    const limit = limitOf(100, 1);
    for (let count = 0; count < 3; count += 1) expect(opened(limit).moveTo('10.9.9.9')).toBeUndefined();
  });

  it('is counted nowhere where it closed before the proxy named it', () => {
    const limit = limitOf(100, 1);
    const gone = opened(limit);
    gone.close();
    expect(gone.moveTo('192.0.2.1')).toBeUndefined();
    expect(limit.open).toBe(0);
    expect(admitted(limit, '192.0.2.1')).toBe(true);
  });
});
