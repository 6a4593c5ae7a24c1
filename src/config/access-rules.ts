/**
 * Who may call a server that is configured so: the keys of the configuration, and what depends on whether there are any. Keys of
 * access.store count as well, so that is decided when the store is open. Pure.
 */
import type { Config, NamedKey } from './config.ts';
import { ConfigError } from './config-error.ts';
import { isLoopbackHost } from './rules.ts';
import type { ConfigValues } from './schema.ts';

/** What of the keys in access.store matters here. */
export interface StoredKeys {
  /** It has held one, be it revoked by now. */
  readonly storeHeldKeys: boolean;
  /** A key that may administer is among them. */
  readonly hasAdmin: boolean;
}

/** Each key with its name. Throws where two have the same name, or are the same key. */
export function namedKeys(auth: ConfigValues['auth']): Config['auth'] {
  const lists = {
    api_keys: named('api_keys', auth.api_keys),
    admin_keys: named('admin_keys', auth.admin_keys),
  };
  const placeOf = new Map<string, string>();
  for (const [list, keys] of Object.entries(lists)) {
    const placeOfKey = new Map<string, string>();
    for (const [index, { name, key }] of keys.entries()) {
      const place = `auth.${list}[${index}]`;
      const [sameName, sameKey] = [placeOf.get(name), placeOfKey.get(key)];
      if (sameName !== undefined)
        throw new ConfigError(`${place}.name is ${JSON.stringify(name)}, but ${sameName} has that name.`);
      if (sameKey !== undefined) throw new ConfigError(`${place} is the same key as ${sameKey}.`);
      placeOf.set(name, place);
      placeOfKey.set(key, place);
    }
  }
  return { allow_open: auth.allow_open, ...lists };
}

function named(list: string, keys: ConfigValues['auth']['api_keys']): readonly NamedKey[] {
  return keys.map((each, index) =>
    typeof each === 'string' ? { name: `${list}[${index}]`, key: each } : each,
  );
}

/** Throws where others can reach the server, and it would answer anyone. */
export function requireKeysOffLoopback(
  { server, auth }: Pick<Config, 'server' | 'auth'>,
  { storeHeldKeys }: Pick<StoredKeys, 'storeHeldKeys'>,
): void {
  if (isLoopbackHost(server.host) || auth.api_keys.length > 0 || storeHeldKeys || auth.allow_open) return;
  throw new ConfigError(
    `server.host is ${JSON.stringify(server.host)}, which others can reach, but there is no key: auth.api_keys is empty, and access.store has never held one. ` +
      'Make one with llm-serve keys create --name NAME, or set auth.api_keys, or set auth.allow_open: true if anyone who reaches this address may use it, or listen on 127.0.0.1.',
  );
}

/** Throws where others can reach the address of administrators, and no key opens it: then it would answer nobody but this machine. */
export function requireAdminKeysOffLoopback(
  { admin, auth }: Pick<Config, 'admin' | 'auth'>,
  { hasAdmin }: Pick<StoredKeys, 'hasAdmin'>,
): void {
  if (admin.port === undefined || isLoopbackHost(admin.host) || auth.admin_keys.length > 0 || hasAdmin)
    return;
  throw new ConfigError(
    `admin.host is ${JSON.stringify(admin.host)}, which others can reach, but there is no admin key: auth.admin_keys is empty, and no key of access.store may administer. ` +
      'Make one with llm-serve keys create --name NAME --may-admin, or set auth.admin_keys, or leave admin.host at 127.0.0.1.',
  );
}

/** `isSet`: the file, the environment or a flag sets a key of `rate_limit`. Any of them turns the limiter on. */
export function chooseRateLimit(
  { rate_limit, auth, server }: Pick<ConfigValues, 'rate_limit' | 'auth' | 'server'>,
  isSet: boolean,
): Config['rate_limit']['enabled'] {
  if (rate_limit.enabled === false) return false;
  const isShared =
    isSet ||
    auth.api_keys.length > 0 ||
    // A proxy on this machine forwards clients from elsewhere.
    server.trusted_proxies.length > 0 ||
    server.trusted_hops > 0 ||
    !isLoopbackHost(server.host);
  return isShared ? true : 'with_keys';
}

/** Its rate limit was chosen by where it is to listen. Until a restart it listens where it does: others who reach it there stay limited. */
export function keepRateLimit(wanted: Config, { server }: Pick<Config, 'server'>): Config {
  const { rate_limit } = wanted;
  if (rate_limit.enabled !== 'with_keys' || isLoopbackHost(server.host)) return wanted;
  return { ...wanted, rate_limit: { ...rate_limit, enabled: true } };
}

/** Whether requests are counted now. */
export function limitsRate(
  { rate_limit: { enabled } }: Pick<Config, 'rate_limit'>,
  { storeHeldKeys }: Pick<StoredKeys, 'storeHeldKeys'>,
): boolean {
  return enabled === 'with_keys' ? storeHeldKeys : enabled;
}

/** For the log at the start: what the settings leave open, and how it was decided. */
export function accessNotices(
  config: Pick<Config, 'auth' | 'server' | 'rate_limit'>,
  stored: StoredKeys,
): string[] {
  return [rateLimitNotice(config, stored), ...adminNotices(config, stored)];
}

/** Also when the first key has come: it may turn the limit on. */
export function rateLimitNotice(
  config: Pick<Config, 'auth' | 'server' | 'rate_limit'>,
  stored: StoredKeys,
): string {
  const { enabled, requests, window_seconds } = config.rate_limit;
  if (limitsRate(config, stored))
    return `Rate limit: ${requests} requests in ${window_seconds} seconds for each key without another limit on requests, or each address without a key, as ${reasonToLimit(config, stored)}.`;
  return enabled === false
    ? 'Rate limit: off, as rate_limit.enabled is false.'
    : 'Rate limit: off, as the server listens on loopback without keys and no rate_limit key is set.';
}

function reasonToLimit(
  { auth, server, rate_limit }: Pick<Config, 'auth' | 'server' | 'rate_limit'>,
  { storeHeldKeys }: StoredKeys,
): string {
  if (auth.api_keys.length > 0) return 'auth.api_keys is set';
  if (rate_limit.enabled === 'with_keys' || storeHeldKeys) return 'access.store has keys';
  if (server.trusted_proxies.length > 0) return 'server.trusted_proxies is set';
  if (server.trusted_hops > 0) return 'server.trusted_hops is set';
  return isLoopbackHost(server.host) ? 'rate_limit is set' : 'others can reach server.host';
}

/** Where others use the server, a proxy on this machine may lend them what programs of this machine may do. */
function adminNotices(
  { auth, server }: Pick<Config, 'auth' | 'server'>,
  { storeHeldKeys, hasAdmin }: StoredKeys,
): string[] {
  const isShared = auth.api_keys.length > 0 || storeHeldKeys;
  // Then every connection comes from a proxy: nobody may.
  if (server.trusted_hops > 0) return [];
  if (!isShared || hasAdmin || auth.admin_keys.length > 0) return [];
  return [
    'Administration: programs of this machine may call /admin without a key, as auth.admin_keys is empty and no key of access.store may administer. Behind a proxy on this machine, set one.',
  ];
}
