import { describe, expect, it } from 'vitest';
import { type RoutePlace, Router } from '../../../src/http/router.ts';

function routerOf(...places: readonly [RoutePlace['method'], string][]) {
  const router = new Router<RoutePlace>();
  for (const [method, path] of places) router.add({ method, path });
  return (method: string, url: string) => {
    const found = router.find(method, url);
    if (found === undefined || found === 'malformed') return found;
    const rest = found.params['*'];
    return rest === undefined ? found.route.path : `${found.route.path} ${rest}`;
  };
}

const find = routerOf(
  ['GET', '/'],
  ['GET', '/health'],
  ['POST', '/generate'],
  ['GET', '/models'],
  ['GET', '/models/*'],
  ['DELETE', '/models/*'],
  ['GET', '/models/loaded/*'],
  ['POST', '/models/count'],
);

describe('a path', () => {
  it.each([
    ['/health', '/health'],
    ['/health?', '/health'],
    ['/health?a=%zz&b', '/health'],
    ['/health#part', '/health'],
    ['/h%65alth', '/health'],
    ['http://localhost/health', '/health'],
    ['HTTPS://user@host:1/health?x', '/health'],
    ['http://localhost', '/'],
    ['http://localhost?x', '/'],
    ['/models', '/models'],
    ['/models/', '/models/* '],
    ['/models/a/b', '/models/* a/b'],
    ['/models/a%2Fb', '/models/* a/b'],
    ['/models/a%252Fb', '/models/* a%2Fb'],
    ['/models/%C3%A9', '/models/* é'],
    ['/models/a%3Fb?c', '/models/* a?b'],
    ['/models/loaded/a', '/models/loaded/* a'],
    ['/models/loaded', '/models/* loaded'],
    // Its exact route takes another method.
    ['/models/count', '/models/* count'],
  ])('%s is %s', (url, expected) => {
    expect(find('GET', url)).toBe(expected);
  });

  it.each([
    '/health/',
    '/Health',
    '//health',
    '/health%2F',
    '/health%3Fx',
    '/healthy',
    '*',
    'ftp://x/health',
    '',
  ])('%j is no route’s', (url) => {
    expect(find('GET', url)).toBeUndefined();
  });

  it.each([
    '/%',
    '/models/%E0%A4',
    '/nothing%zz',
    'http:///health',
    'http://a b/health',
    'http://x/health#y',
  ])('%s is malformed, whatever the method', (url) => {
    expect(find('GET', url)).toBe('malformed');
    expect(find('PROPFIND', url)).toBe('malformed');
  });
});

describe('a method', () => {
  it('GET answers HEAD as well, and no other does', () => {
    expect(find('HEAD', '/health')).toBe('/health');
    expect(find('HEAD', '/generate')).toBeUndefined();
    expect(find('GET', '/generate')).toBeUndefined();
    expect(find('DELETE', '/models/a')).toBe('/models/* a');
  });

  it('the methods of a path are listed in order, by the path as its route writes it', () => {
    const router = new Router<RoutePlace>();
    router.add({ method: 'POST', path: '/a' });
    router.add({ method: 'GET', path: '/a' });
    expect(router.allowedAt('/a')).toEqual(['GET', 'HEAD', 'POST']);
    expect(router.allowedAt('/b')).toBeUndefined();
  });
});

describe('a path with a parameter before its end', () => {
  const router = new Router<RoutePlace>();
  router.add({ method: 'GET', path: '/keys/*' });
  router.add({ method: 'PATCH', path: '/keys/*' });
  router.add({ method: 'POST', path: '/keys/*/revoke' });
  const found = (method: string, url: string) => {
    const match = router.find(method, url);
    return match === undefined || match === 'malformed' ? match : [match.route.path, match.params['*']];
  };

  it('matches any text there, slashes included, but not none', () => {
    expect(found('POST', '/keys/a/b%2Fc/revoke')).toEqual(['/keys/*/revoke', 'a/b/c']);
    expect(found('POST', '/keys//revoke')).toBeUndefined();
    expect(found('POST', '/keys/revoke')).toBeUndefined();
  });

  it('the methods of a path are those of the longest pattern that fits', () => {
    expect(router.allowedAt('/keys/a')).toEqual(['GET', 'HEAD', 'PATCH']);
    expect(router.allowedAt('/keys/a/revoke')).toEqual(['POST']);
    expect(router.allowedAt('/other/a')).toBeUndefined();
    expect(router.allowedAt('/keys/a/other'), 'another path, which there is not').toBeUndefined();
  });
});
