/** Addresses of PostgreSQL databases, as libpq reads them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions, PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreAddressError } from '../../../../src/core/store-error.ts';
import { parsePostgresAddress } from '../../../../src/stores/postgres/postgres-address.ts';

const BASE = 'postgres://ann:s3cret@db.example/llm';
const parsed = (query: string) => parsePostgresAddress(`${BASE}?${query}`);

function refusal(query: string, base = BASE): string {
  try {
    parsePostgresAddress(`${base}?${query}`);
  } catch (error) {
    expect(error).toBeInstanceOf(StoreAddressError);
    expect((error as Error).message).not.toContain('s3cret');
    return (error as Error).message;
  }
  throw new Error(`${query} was not refused`);
}

describe('TLS', () => {
  let folder = '';
  let root = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'llm-serve-address-'));
    root = join(folder, 'root.pem');
    writeFileSync(root, 'ROOT');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const certificateFor = (subjectaltname: string) =>
    ({ subject: { CN: 'nobody' }, subjectaltname }) as unknown as PeerCertificate;

  /** What is checked of the server's certificate. */
  const checks = (query: string) => {
    const { ssl } = parsed(query);
    if (typeof ssl !== 'object') return ssl;
    const { rejectUnauthorized, checkServerIdentity, ca } = ssl;
    expect(checkServerIdentity?.('db.example', certificateFor('DNS:db.example'))).toBeUndefined();
    const isRefused = checkServerIdentity?.('db.example', certificateFor('DNS:other.example')) !== undefined;
    return { root: ca, verifies: rejectUnauthorized, verifiesHost: isRefused };
  };

  // Node asks about `localhost` where the driver names no host, as for an IP address.
  test.each([
    ['10.0.0.1', 'localhost', 'IP Address:10.0.0.1', true],
    ['10.0.0.1', 'localhost', 'IP Address:10.0.0.2', false],
    ['10.0.0.1', 'localhost', 'DNS:localhost', false],
    ['[fd00::1]', 'localhost', 'IP Address:FD00:0:0:0:0:0:0:1', true],
    ['10.0.0.1,10.0.0.2', 'localhost', 'IP Address:10.0.0.2', true],
    ['10.0.0.1,db.example', 'localhost', 'DNS:db.example', false],
    ['10.0.0.1,db.example', 'db.example', 'DNS:db.example', true],
    ['10.0.0.1,db.example', 'db.example', 'IP Address:10.0.0.1', false],
    ['localhost', 'localhost', 'DNS:localhost', true],
  ])(
    'verify-full of %s, asked about %s: a certificate for %s is taken: %s',
    (hosts, name, names, isTaken) => {
      const { ssl } = parsePostgresAddress(`postgres://ann@${hosts}/llm?sslmode=verify-full`);
      const { checkServerIdentity } = ssl as ConnectionOptions;
      expect(checkServerIdentity?.(name, certificateFor(names)) === undefined).toBe(isTaken);
    },
  );

  test.each([
    ['', 'prefer'],
    ['sslmode=disable', false],
    ['sslmode=allow', 'prefer'],
    ['sslmode=prefer', 'prefer'],
    ['sslmode=require', 'require'],
    ['sslmode=verify-full', { root: undefined, verifies: true, verifiesHost: true }],
    ['sslrootcert=system', { root: undefined, verifies: true, verifiesHost: true }],
    ['sslmode=verify-full&sslrootcert=system', { root: undefined, verifies: true, verifiesHost: true }],
    ['channel_binding=prefer&sslmode=require', 'require'],
    ['channel_binding=disable&sslmode=require', 'require'],
    ['channel_binding=require', { root: undefined, verifies: true, verifiesHost: true }],
    ['sslmode=require&channel_binding=require', { root: undefined, verifies: true, verifiesHost: true }],
  ])('%j', (query, expected) => {
    expect(checks(query)).toEqual(expected);
  });

  test.each([
    ['allow', false],
    ['prefer', false],
    ['require', false],
    ['verify-ca', false],
    ['verify-full', true],
  ])('sslmode=%s with a root certificate verifies by it', (mode, verifiesHost) => {
    expect(checks(`sslmode=${mode}&sslrootcert=${root}`)).toEqual({
      root: 'ROOT',
      verifies: true,
      verifiesHost,
    });
  });

  test.each(['disable', 'allow', 'prefer', 'require', 'verify-ca'])(
    'the roots of everybody are refused with sslmode=%s, which checks no host',
    (mode) => {
      expect(refusal(`sslmode=${mode}&sslrootcert=system`)).toContain('sslmode can only be verify-full');
    },
  );

  test('sslmode=verify-ca needs a root certificate', () => {
    expect(refusal('sslmode=verify-ca')).toContain('without an sslrootcert');
  });

  test('a channel can’t be bound without TLS', () => {
    expect(refusal('sslmode=disable&channel_binding=require')).toContain('which needs TLS');
    expect(refusal('host=/run/postgresql&channel_binding=require')).toContain('which needs TLS');
  });

  test.each(['sslmode=verify-full', 'sslrootcert=system', 'sslmode=require&channel_binding=require'])(
    '%s refuses localhost beside an IP address, about which the check is asked by that name',
    (query) => {
      for (const hosts of ['10.0.0.1,localhost', 'localhost,db.example,[::1]'])
        expect(refusal(`host=${hosts}&${query}`)).toContain('has localhost beside an IP address');
    },
  );

  test('localhost may stand beside an IP address where no host is checked', () => {
    expect(parsed('host=10.0.0.1,localhost&sslmode=require').ssl).toBe('require');
    expect(parsed(`host=10.0.0.1,localhost&sslmode=verify-ca&sslrootcert=${root}`).ssl).toBeTypeOf('object');
  });

  test.each([
    '',
    'sslmode=require',
    'sslmode=verify-full',
    'sslmode=verify-ca',
    'sslmode=prefer&sslrootcert=/none',
  ])('a socket has none, whatever is asked for: %j', (query) => {
    expect(parsed(`host=/run/postgresql&${query}`).ssl).toBe(false);
  });

  test('a mode that is none is refused on a socket, too', () => {
    expect(refusal('host=/run/postgresql&sslmode=on')).toContain('sslmode that is none of');
  });

  test('a certificate and a version of one’s own', () => {
    expect(
      parsed(`sslmode=require&sslcert=${root}&sslkey=${root}&ssl_min_protocol_version=TLSv1.3`).ssl,
    ).toMatchObject({ cert: 'ROOT', key: 'ROOT', minVersion: 'TLSv1.3', rejectUnauthorized: false });
  });

  test.each([
    ['sslmode=on', 'sslmode that is none of'],
    ['channel_binding=yes', 'channel_binding that is none of'],
    ['ssl_min_protocol_version=3', 'ssl_min_protocol_version that is none of'],
    ['sslmode=require&sslrootcert=/nowhere/root.pem', 'sslrootcert that can’t be read'],
  ])('%s is refused', (query, words) => {
    expect(refusal(query)).toContain(words);
  });
});

describe('a pooler', () => {
  test.each([
    ['', false],
    ['pgbouncer=false', false],
    ['pgbouncer=true', true],
    ['pgbouncer=true&lock_timeout=50&search_path=llm', true],
  ])('%j', (query, isPooler) => {
    expect(parsed(query).isPooler).toBe(isPooler);
  });

  test.each([
    ['pgbouncer=1', 'pgbouncer that is neither true nor false'],
    ['pgbouncer=true&options=-c%20jit=off', 'has options, which can’t be kept'],
    ['pgbouncer=true&idle_session_timeout=50', 'has idle_session_timeout, which can’t be kept'],
  ])('%s is refused', (query, words) => {
    expect(refusal(query)).toContain(words);
  });
});

describe('parameters', () => {
  test('what hosted services hand out becomes no setting of the session', () => {
    const address = parsed('sslmode=require&channel_binding=require&connect_timeout=10&keepalives=1');
    expect(address.session).toEqual({});
    expect(address.connectTimeoutSeconds).toBe(10);
  });

  test('settings of the session are handed on', () => {
    expect(parsed('search_path=llm&options=-c%20geqo%3Doff').session).toEqual({
      search_path: 'llm',
      options: '-c geqo=off',
    });
  });

  test('user, password and database may stand in the query', () => {
    expect(parsePostgresAddress('postgres://db.example?user=bob&password=pw&dbname=usage')).toMatchObject({
      user: 'bob',
      password: 'pw',
      database: 'usage',
      hosts: ['db.example'],
    });
  });

  test.each([
    ['conect_timeout=3', 'does not know: conect_timeout.'],
    ['passfile=/home/ann/.pgpass', 'does not know: passfile.'],
    ['require_auth=none', 'does not know: require_auth.'],
    ['gssencmode=require', 'a gssencmode that llm-serve can’t do'],
    ['client_encoding=latin1', 'a client_encoding that llm-serve can’t do'],
    ['connect_timeout=soon', 'connect_timeout that is no whole number'],
    ['target_session_attrs=best', 'target_session_attrs that is none of'],
  ])('%s is refused by its name', (query, words) => {
    expect(refusal(query)).toContain(words);
  });

  test('part of a password where a name should be is not shown', () => {
    expect(refusal('sslmode=require&s3cret!pass')).toContain('its name is no name');
    expect(refusal('hunter&x@h/db', 'postgres://ann:pa')).not.toContain('hunter');
  });

  test.each([
    ['connect_timeout=0', undefined],
    ['connect_timeout=-1', undefined],
    ['connect_timeout=2', 2],
  ])('%s', (query, expected) => {
    expect(parsed(query).connectTimeoutSeconds).toBe(expected);
  });
});

describe('places', () => {
  test('several hosts, IPv6 and ports', () => {
    const address = parsePostgresAddress('postgresql://one:1,[::1]:2,three/llm?port=7');
    expect(address).toMatchObject({ hosts: ['one', '::1', 'three'], ports: [1, 2, 7] });
    expect(address.shown).toBe('the PostgreSQL database "llm" at one:1,::1:2,three:7');
  });

  test('a password with %XX is decoded, and never shown', () => {
    const address = parsePostgresAddress('postgres://ann:a%40b@db/llm');
    expect(address.password).toBe('a@b');
    expect(address.shown).not.toContain('a@b');
  });
});
