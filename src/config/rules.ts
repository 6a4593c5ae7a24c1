/** Rules between settings, each with an error that says how to fix it, and the rate limiter's default. Pure. */
import ipaddr from 'ipaddr.js';
import { type Config, ConfigError } from './config.ts';
import type { ConfigValues } from './schema.ts';

export function checkRules(config: Config): void {
  for (const rule of [
    knownDefaultModel,
    distinctModels,
    distinctTargets,
    knownFallbackModels,
    requireAuthOffLoopback,
    validAddresses,
    validHubUrl,
    fitLargestBody,
  ])
    rule(config);
}

function knownDefaultModel({ default_model, models }: Config): void {
  if (models.some(({ id }) => id === default_model)) return;
  const known = models.map(({ id }) => id).join(', ');
  throw new ConfigError(
    `default_model is ${JSON.stringify(default_model)}, but must be one of the models: ${known}.`,
  );
}

function distinctModels({ models }: Config): void {
  const seen = new Set<string>();
  const names = models.flatMap(({ id, aliases }, index) => [
    { key: `models[${index}].id`, name: id },
    ...aliases.map((name, place) => ({ key: `models[${index}].aliases[${place}]`, name })),
  ]);
  for (const { key, name } of names) {
    if (seen.has(name))
      throw new ConfigError(
        `${key} is ${JSON.stringify(name)}, but an earlier model or alias has that name.`,
      );
    seen.add(name);
  }
}

/** Only a configured name can equal another: default names differ by their model or position. */
function distinctTargets({ models }: Config): void {
  const keys = new Map<string, string>();
  const named = models.flatMap(({ targets }, index) =>
    targets.map(({ name, values }, place) => ({
      name,
      key: `models[${index}].targets[${place}]`,
      isConfigured: values.name !== undefined,
    })),
  );
  for (const { name, key } of [
    ...named.filter((one) => !one.isConfigured),
    ...named.filter((one) => one.isConfigured),
  ]) {
    const earlier = keys.get(name);
    if (earlier !== undefined)
      throw new ConfigError(`${key}.name is ${JSON.stringify(name)}, but ${earlier} has that name.`);
    keys.set(name, key);
  }
}

/** Two models may be each other's fallback: each is asked once. */
function knownFallbackModels({ models }: Config): void {
  const ids = models.map(({ id }) => id);
  for (const [index, { id, fallbackModels }] of models.entries()) {
    for (const [place, name] of fallbackModels.entries()) {
      const key = `models[${index}].fallback_models[${place}] is ${JSON.stringify(name)}`;
      if (name === id) throw new ConfigError(`${key}, but that is the model itself: name another one.`);
      if (!ids.includes(name))
        throw new ConfigError(`${key}, but must be the id of one of the models: ${ids.join(', ')}.`);
      if (fallbackModels.indexOf(name) < place)
        throw new ConfigError(`${key}, but an earlier entry names that model.`);
    }
  }
}

function requireAuthOffLoopback({ server, auth }: Config): void {
  if (isLoopbackHost(server.host) || auth.api_keys.length > 0 || auth.allow_open) return;
  throw new ConfigError(
    `server.host is ${JSON.stringify(server.host)}, which others can reach, but auth.api_keys is empty. ` +
      'Set auth.api_keys, or set auth.allow_open: true if anyone who reaches this address may use it, or listen on 127.0.0.1.',
  );
}

function validAddresses({ server, scheduler }: Config): void {
  const lists = {
    'server.trusted_proxies': server.trusted_proxies,
    'scheduler.high_priority_clients': scheduler.high_priority_clients,
  };
  for (const [key, addresses] of Object.entries(lists)) {
    for (const [index, address] of addresses.entries()) {
      if (ipaddr.isValid(address) || ipaddr.isValidCIDR(address)) continue;
      throw new ConfigError(
        `${key}[${index}] is ${JSON.stringify(address)}, but must be an address or a CIDR such as 10.0.0.0/8.`,
      );
    }
  }
}

function validHubUrl({ cache: { hub_url } }: Config): void {
  const url = URL.canParse(hub_url) ? new URL(hub_url) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') return;
  throw new ConfigError(
    `cache.hub_url is ${JSON.stringify(hub_url)}, but must be an address such as https://huggingface.co.`,
  );
}

function fitLargestBody({ server }: Config): void {
  const { max_body_bytes_in_flight: inFlight } = server;
  for (const key of ['body_limit_bytes', 'media_body_limit_bytes'] as const) {
    if (server[key] <= inFlight) continue;
    throw new ConfigError(
      `server.max_body_bytes_in_flight is ${inFlight}, but must be at least server.${key} (${server[key]}).`,
    );
  }
}

export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (bare === 'localhost') return true;
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback';
}

interface RateLimitChoice {
  readonly enabled: boolean;
  /** For the log: on or off, and why. */
  readonly notice: string;
}

/** `isSet`: the file, the environment or a flag sets a key of `rate_limit`. Any of them turns the limiter on. */
export function chooseRateLimit(
  { rate_limit, auth, server }: Pick<ConfigValues, 'rate_limit' | 'auth' | 'server'>,
  isSet: boolean,
): RateLimitChoice {
  const { enabled, requests, window_seconds } = rate_limit;
  if (enabled === false) return { enabled, notice: 'Rate limit: off, as rate_limit.enabled is false.' };
  const reason = isSet ? 'rate_limit is set' : reasonByDefault({ auth, server });
  return reason === undefined
    ? {
        enabled: false,
        notice:
          'Rate limit: off, as the server listens on loopback without keys and no rate_limit key is set.',
      }
    : {
        enabled: true,
        notice: `Rate limit: ${requests} requests in ${window_seconds} seconds from each address, as ${reason}.`,
      };
}

function reasonByDefault({ auth, server }: Pick<ConfigValues, 'auth' | 'server'>): string | undefined {
  if (auth.api_keys.length > 0) return 'auth.api_keys is set';
  // A proxy on this machine forwards clients from elsewhere.
  if (server.trusted_proxies.length > 0) return 'server.trusted_proxies is set';
  return isLoopbackHost(server.host) ? undefined : 'others can reach server.host';
}
