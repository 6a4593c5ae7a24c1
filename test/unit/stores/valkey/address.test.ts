import { describe, expect, it } from 'vitest';
import { AddressError, parseValkeyAddress, shownAddress } from '../../../../src/stores/valkey/address.ts';

const plain = {
  username: undefined,
  password: undefined,
  database: 0,
  isEncrypted: false,
  prefix: 'llm-serve',
};

describe('the address of a limit store', () => {
  it.each([
    ['valkey://cache', { kind: 'server', endpoint: { host: 'cache', port: 6379 } }],
    ['redis://10.0.0.1:6380/2', { kind: 'server', endpoint: { host: '10.0.0.1', port: 6380 }, database: 2 }],
    [
      'valkeys://[2001:db8::1]:7000',
      { kind: 'server', endpoint: { host: '2001:db8::1', port: 7000 }, isEncrypted: true },
    ],
    [
      'valkey://ada:p%40ss@cache',
      { kind: 'server', endpoint: { host: 'cache', port: 6379 }, username: 'ada', password: 'p@ss' },
    ],
    ['valkey://:p:q@cache', { kind: 'server', endpoint: { host: 'cache', port: 6379 }, password: 'p:q' }],
    [
      'valkey://secret@cache',
      { kind: 'server', endpoint: { host: 'cache', port: 6379 }, password: 'secret' },
    ],
    [
      'valkey://cache?prefix=team-a',
      { kind: 'server', endpoint: { host: 'cache', port: 6379 }, prefix: 'team-a' },
    ],
    ['unix:/run/valkey.sock', { kind: 'server', endpoint: { path: '/run/valkey.sock' } }],
    [
      'unix:/run/v.sock?password=a%26b&database=3',
      { kind: 'server', endpoint: { path: '/run/v.sock' }, password: 'a&b', database: 3 },
    ],
    [
      'redis+sentinel://:pw@one,two:26380/limits/1?sentinel_password=other',
      {
        kind: 'sentinel',
        nodes: [
          { host: 'one', port: 26379 },
          { host: 'two', port: 26380 },
        ],
        name: 'limits',
        database: 1,
        password: 'pw',
        sentinelLogin: { username: undefined, password: 'other' },
      },
    ],
    [
      'rediss+cluster://one:7000,two:7001',
      {
        kind: 'cluster',
        nodes: [
          { host: 'one', port: 7000 },
          { host: 'two', port: 7001 },
        ],
        isEncrypted: true,
      },
    ],
  ])('%s is understood', (address, expected) => {
    expect(parseValkeyAddress(address)).toEqual({ ...plain, ...expected });
  });

  it.each([
    ['http://cache', 'must be memory:'],
    ['valkey:cache', 'must be memory:'],
    ['valkey://', 'lacks a host'],
    ['valkey://:hunter22@cache:0', 'a port that is not between 1 and 65535'],
    ['valkey://:hunter22@cache:99999', 'a port that is not between 1 and 65535'],
    ['valkey://:hunter22@cache:x', 'a host that is not HOST:PORT'],
    ['valkey://:hunter22@::1', 'a host that is not HOST:PORT'],
    ['valkey://:hunter22@one,two', 'several hosts'],
    ['valkey://:hunter22@one/two', 'a database that is not a number'],
    ['valkey://:hunter22@one/1/2', 'more than the number of a database'],
    ['valkey://:hunter%22%zz@one', 'a % that begins no escape'],
    ['valkey://:hunter22@one?colour=red', 'an unknown option'],
    ['valkey://:hunter22@one?prefix={x}', 'a prefix that is not'],
    ['valkey+sentinel://:hunter22@one', 'lacks the name'],
    ['valkey+cluster://:hunter22@one/1', 'something behind the hosts'],
  ])('%s is not, and its password is not shown', (address, expected) => {
    let message = '';
    try {
      parseValkeyAddress(address);
    } catch (error) {
      expect(error).toBeInstanceOf(AddressError);
      message = (error as AddressError).message;
    }
    expect(message).toContain(expected);
    expect(message).not.toContain('hunter');
  });

  it.each([
    ['valkeys://ada:secret@[::1]:7000/1?prefix=x', 'valkeys://[::1]:7000'],
    ['unix:/run/v.sock?password=secret', 'unix:/run/v.sock'],
    ['redis+sentinel://:secret@one,two/limits', 'valkey+sentinel://one:26379,two:26379/limits'],
    ['redis+cluster://:secret@one', 'valkey+cluster://one:6379'],
  ])('%s is shown as %s', (address, shown) => {
    expect(shownAddress(parseValkeyAddress(address))).toBe(shown);
  });
});
