import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseRanges } from '../../../src/http/client-address.ts';
import { EXPOSED_HEADERS, mayCall } from '../../../src/http/origins.ts';
import { whyNotThisMachine } from '../../../src/http/this-machine.ts';

const GOLDEN = fileURLToPath(new URL('../../golden', import.meta.url));

describe('which pages may call', () => {
  const listed = ['https://app.example'];
  it.each([
    ['http://localhost:3000', true],
    ['https://localhost', true],
    ['http://127.0.0.1:8000', true],
    ['http://127.9.9.9', true],
    ['http://[::1]:5173', true],
    ['http://app.localhost', true],
    ['tauri://localhost', true],
    ['https://app.example', true],
    ['https://app.example:444', false],
    ['http://localhost.evil.example', false],
    ['http://10.0.0.1', false],
    ['null', false],
    ['', false],
    ['file://', false],
  ])('on loopback, of the origin %j: %s', (origin, allowed) => {
    expect(mayCall(origin, { onLoopback: true, corsOrigins: listed })).toBe(allowed);
  });

  it('beyond loopback those that are listed, and no page of the caller’s own machine', () => {
    const policy = { onLoopback: false, corsOrigins: listed };
    expect(mayCall('http://localhost:3000', policy)).toBe(false);
    expect(mayCall('https://app.example', policy)).toBe(true);
    expect(mayCall('https://other.example', { onLoopback: false, corsOrigins: ['*'] })).toBe(true);
  });
});

it('a page may read every header that any recorded answer has', () => {
  // What the Fetch standard lets every page read, and what speaks to browsers and connections alone.
  const readable = 'cache-control content-language content-length content-type expires last-modified pragma';
  const forOthers =
    /^(vary|date|connection|keep-alive|transfer-encoding|x-accel-buffering|access-control-.*)$/;
  const known = new Set([...readable.split(' '), ...EXPOSED_HEADERS.map((name) => name.toLowerCase())]);
  const unreadable = new Set<string>();
  for (const file of readdirSync(GOLDEN, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.http')) continue;
    for (const [head] of readFileSync(`${GOLDEN}/${file}`, 'utf8').matchAll(
      /^HTTP\/1\.1 \d+ .*\n(?:.+\n)*/gm,
    ))
      for (const [, name = ''] of head.matchAll(/^([a-z-]+): /gm))
        if (!known.has(name) && !forOthers.test(name)) unreadable.add(name);
  }
  expect([...unreadable]).toEqual([]);
});

describe('who is on this machine, for /admin without admin keys', () => {
  const asked = ({
    peer = '127.0.0.1',
    host = 'localhost:8000',
    version = '1.1',
    headers = {},
    trusted = [] as string[],
    hops = 0,
  }) =>
    whyNotThisMachine(
      {
        socket: { remoteAddress: peer },
        headers: { host, ...headers },
        httpVersion: version,
      } as unknown as Parameters<typeof whyNotThisMachine>[0],
      { trustedProxies: parseRanges(trusted), trustedHops: hops },
    );

  it.each([
    [{}],
    [{ host: '127.0.0.1:8000' }],
    [{ peer: '::1', host: '[::1]:8000' }],
    [{ peer: '::ffff:127.0.0.1' }],
    [{ peer: '127.0.0.2' }],
    [{ trusted: ['10.0.0.0/8'] }],
    [{ headers: { origin: 'http://localhost:8000' } }],
  ])('%j is', (request) => {
    expect(asked(request)).toBeUndefined();
  });

  it.each([
    [{ peer: '10.0.0.5' }, 'another machine'],
    [{ peer: '::ffff:192.168.1.2' }, 'another machine'],
    [{ host: 'api.example.com' }, 'Host'],
    [{ host: 'localhost.example.com' }, 'Host'],
    [{ host: '' }, 'Host'],
    [{ host: 'localhost@example.com' }, 'Host'],
    [{ headers: { forwarded: 'for=1.2.3.4' } }, 'forwarded'],
    [{ headers: { via: '1.1 proxy' } }, 'via'],
    [{ headers: { 'x-real-ip': '127.0.0.1' } }, 'x-real-ip'],
    [{ headers: { 'x-forwarded-for': '127.0.0.1' } }, 'x-forwarded-for'],
    [{ headers: { 'x-forwarded-host': 'a' } }, 'x-forwarded-host'],
    [{ headers: { 'x-forwarded-proto': '' } }, 'x-forwarded-proto'],
    [{ headers: { 'x-forwarded': 'a' } }, 'x-forwarded'],
    [{ headers: { 'cf-connecting-ip': 'a' } }, 'cf-connecting-ip'],
    [{ headers: { 'true-client-ip': 'a' } }, 'true-client-ip'],
    [{ trusted: ['127.0.0.1/32'] }, 'server.trusted_proxies'],
    [{ hops: 1 }, 'server.trusted_hops'],
    [{ version: '1.0' }, 'HTTP/1.0'],
    [{ headers: { origin: 'https://evil.example' } }, 'web page'],
    [{ headers: { origin: 'http://localhost:3000' } }, 'web page'],
    [{ headers: { origin: 'null' } }, 'web page'],
  ])('%j is not: %s', (request, why) => {
    expect(asked(request)).toContain(why);
  });
});
