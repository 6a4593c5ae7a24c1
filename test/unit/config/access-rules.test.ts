import { describe, expect, it } from 'vitest';
import { accessNotices, limitsRate, requireKeysOffLoopback } from '../../../src/config/access-rules.ts';
import { loadConfig } from '../../../src/config/load.ts';

const load = (file: object) =>
  loadConfig({ flags: {}, environment: {}, file: { name: 'llm-serve.yaml', text: JSON.stringify(file) } })
    .config;

const NO_KEYS = { storeHeldKeys: false, hasAdmin: false };
const KEYS = { storeHeldKeys: true, hasAdmin: false };

describe('the rate limit, where others share the server', () => {
  it.each<[string, object, boolean, boolean]>([
    ['on loopback', {}, false, true],
    ['on loopback with keys', { auth: { api_keys: ['a-client-key'] } }, true, true],
    ['beyond loopback', { server: { host: '0.0.0.0' }, auth: { allow_open: true } }, true, true],
    ['on loopback with a key of rate_limit', { rate_limit: { max_keys: 5 } }, true, true],
    ['on loopback behind a proxy', { server: { trusted_proxies: ['127.0.0.1'] } }, true, true],
    ['on loopback with an empty rate_limit', { rate_limit: {} }, false, true],
    [
      'beyond loopback with enabled: false',
      { auth: { api_keys: ['a-client-key'] }, rate_limit: { enabled: false } },
      false,
      false,
    ],
  ])('%s', (_, file, without, withKeys) => {
    const config = load(file);
    for (const [stored, expected] of [
      [NO_KEYS, without],
      [KEYS, withKeys],
    ] as const) {
      expect(limitsRate(config, stored)).toBe(expected);
      expect(accessNotices(config, stored)[0]).toMatch(
        expected ? /^Rate limit: 60 requests in 60 seconds for each key/ : /^Rate limit: off, as /,
      );
    }
  });

  it('says why', () => {
    const reason = (file: object, stored = NO_KEYS) => accessNotices(load(file), stored)[0];
    expect(reason({}, KEYS)).toMatch(/as access\.store has keys\.$/);
    expect(reason({ auth: { api_keys: ['a-client-key'] } })).toMatch(/as auth\.api_keys is set\.$/);
    expect(reason({ rate_limit: { requests: 5 } })).toMatch(/^Rate limit: 5 .*as rate_limit is set\.$/);
  });
});

it('tells who shares a server by keys that /admin needs none on this machine', () => {
  const noticesOf = (auth: object, stored = NO_KEYS) => accessNotices(load({ auth }), stored).join();
  const api_keys = ['a-client-key'];
  expect(noticesOf({ api_keys })).toContain('auth.admin_keys is empty');
  expect(noticesOf({}, KEYS)).toContain('auth.admin_keys is empty');
  expect(noticesOf({}, { ...KEYS, hasAdmin: true })).not.toContain('admin');
  expect(noticesOf({ api_keys, admin_keys: ['an-admin-key'] })).not.toContain('admin');
  expect(noticesOf({})).not.toContain('admin');
  const behindProxies = load({ auth: { api_keys }, server: { trusted_hops: 1 } });
  expect(accessNotices(behindProxies, NO_KEYS).join(), 'nobody is on this machine').not.toContain('admin');
});

describe('listening to the world', () => {
  const server = { host: '0.0.0.0' };

  it('needs a key, of the configuration or ever of the store, or that it is said to be wanted', () => {
    expect(() => requireKeysOffLoopback(load({ server }), KEYS)).not.toThrow();
    expect(() => requireKeysOffLoopback(load({ server, auth: { allow_open: true } }), NO_KEYS)).not.toThrow();
    expect(() =>
      requireKeysOffLoopback(load({ server, auth: { api_keys: ['12345678'] } }), NO_KEYS),
    ).not.toThrow();
    expect(() => requireKeysOffLoopback(load({}), NO_KEYS)).not.toThrow();
  });

  it('is refused without, with what to do', () => {
    expect(() => requireKeysOffLoopback(load({ server }), NO_KEYS)).toThrow(
      'server.host is "0.0.0.0", which others can reach, but there is no key: auth.api_keys is empty, and access.store has never held one. Make one with llm-serve keys create --name NAME, or set auth.api_keys, or set auth.allow_open: true',
    );
  });
});

it('names what access.store may be, and does not show it', () => {
  const wrong = () => load({ access: { store: 'mysql://root:planted@db/keys' } });
  expect(wrong).toThrow('access.store is (not shown), but must be sqlite:PATH, postgres://… or memory:');
  expect(wrong).not.toThrow(/planted/);
});
