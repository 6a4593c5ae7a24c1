import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EXPOSED_HEADERS, mayCall } from '../../../src/http/access.ts';

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
