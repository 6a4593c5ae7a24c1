/** Rules between settings, each with an error that says how to fix it. Pure. */
import ipaddr from 'ipaddr.js';
import type { ModelPurpose } from '../backends/backend-definition.ts';
import type { ModelId } from '../core/generation.ts';
import { shownAddress } from '../schema/shown-address.ts';
import { AddressError, parseValkeyAddress } from '../stores/valkey/address.ts';
import type { Config } from './config.ts';
import { ConfigError } from './config-error.ts';
import { distinctSharedTargets } from './shared-targets.ts';

export function checkRules(config: Config): void {
  for (const rule of [
    knownDefaultModel,
    distinctModels,
    distinctTargets,
    distinctSharedTargets,
    knownFallbackModels,
    noFallbackCycles,
    ableFallbackModels,
    validAddresses,
    knownSendersOfProxyHeaders,
    validHubUrl,
    validSharedStores,
    storeOfAllWorkers,
    fitLargestBody,
    distinctAdminPort,
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

/** A name with the tag `:latest` means the model without it, so two models must not differ in that alone. */
function distinctModels({ models }: Config): void {
  const names = models.flatMap(({ id, aliases }, index) => [
    { key: `models[${index}].id`, name: id, id },
    ...aliases.map((name, place) => ({ key: `models[${index}].aliases[${place}]`, name, id })),
  ]);
  const seen = new Set<string>();
  /** By the name without the tag. */
  const owners = new Map<string, ModelId>();
  for (const { key, name, id } of names) {
    const shown = `${key} is ${JSON.stringify(name)}`;
    if (seen.has(name)) throw new ConfigError(`${shown}, but an earlier model or alias has that name.`);
    seen.add(name);
    const bare = name.replace(/:latest$/, '');
    const owner = owners.get(bare);
    if (owner !== undefined && owner !== id)
      throw new ConfigError(
        `${shown}, which means the same as ${JSON.stringify(bare)}, a name of the model ${JSON.stringify(owner)}: the tag :latest may be left out.`,
      );
    owners.set(bare, id);
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

/** Which of two models answers for the other must be clear: in a cycle it would depend on which one is asked first. */
function noFallbackCycles({ models }: Config): void {
  const fallbacks = new Map(models.map(({ id, fallbackModels }) => [id, fallbackModels]));
  const ends = new Set<ModelId>();
  /** `path`: the models that led to this one. */
  const follow = (id: ModelId, path: readonly ModelId[]): void => {
    if (ends.has(id)) return;
    for (const [place, next] of (fallbacks.get(id) ?? []).entries()) {
      const way = [...path, id];
      if (way.includes(next)) {
        const index = models.findIndex((model) => model.id === id);
        const cycle = [...way.slice(way.indexOf(next)), next].join(' → ');
        throw new ConfigError(
          `models[${index}].fallback_models[${place}] is ${JSON.stringify(next)}, but that is a cycle: ${cycle}. Remove one of them.`,
        );
      }
      follow(next, way);
    }
    ends.add(id);
  };
  for (const { id } of models) follow(id, []);
}

const PURPOSES = { generate: 'generates text', embed: 'makes embeddings' } as const;

/** Where only the server knows what a model can do, the model is skipped when a request needs more. */
function ableFallbackModels({ models }: Config): void {
  const purposes = new Map(models.map((model) => [model.id, purposeOf(model)]));
  for (const [index, { id, fallbackModels }] of models.entries()) {
    for (const [place, name] of fallbackModels.entries()) {
      const [own, other] = [purposes.get(id), purposes.get(name)];
      if (own === undefined || other === undefined || own === other) continue;
      throw new ConfigError(
        `models[${index}].fallback_models[${place}] is ${JSON.stringify(name)}, which ${PURPOSES[other]}, but ${JSON.stringify(id)} ${PURPOSES[own]}: it cannot answer instead.`,
      );
    }
  }
}

/** Undefined: not all of its targets show it. */
function purposeOf({ targets }: Config['models'][number]): ModelPurpose | undefined {
  const [first, ...others] = targets.map(({ definition, values }) => definition.purpose?.(values));
  return others.every((other) => other === first) ? first : undefined;
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

/** Whoever may send the header chooses the address that counts. */
function knownSendersOfProxyHeaders({ server }: Config): void {
  if (server.proxy_protocol === 'off' || server.trusted_proxies.length > 0) return;
  throw new ConfigError(
    `server.proxy_protocol is ${JSON.stringify(server.proxy_protocol)}, but server.trusted_proxies is empty. ` +
      'Set server.trusted_proxies to the addresses that the proxy connects from: from others, the header would let clients choose their address.',
  );
}

function validHubUrl({ cache: { hub_url } }: Config): void {
  const url = URL.canParse(hub_url) ? new URL(hub_url) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') return;
  throw new ConfigError(
    `cache.hub_url is ${JSON.stringify(shownAddress(hub_url))}, but must be an address such as https://huggingface.co.`,
  );
}

/** Without their values, which may have a password. */
function validSharedStores({ limits, leases }: Config): void {
  for (const [key, store] of Object.entries({ 'limits.store': limits.store, 'leases.store': leases.store })) {
    if (store === 'memory:') continue;
    try {
      parseValkeyAddress(store);
    } catch (error) {
      if (error instanceof AddressError) throw new ConfigError(`${key} ${error.message}`);
      throw error;
    }
  }
}

/** Each process would have keys, usage and an audit log of its own. On a small machine `auto` is one; on the next one it is not. */
function storeOfAllWorkers({ access, server }: Config): void {
  if (access.store !== 'memory:' || server.workers === 1) return;
  throw new ConfigError(
    `access.store is "memory:", which several workers can't share, but server.workers is ${server.workers}. Remove access.store, which keeps keys and usage in a file, name a database, or set server.workers to 1.`,
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

function distinctAdminPort({ server, admin, metrics }: Config): void {
  if (admin.metrics && metrics.open)
    throw new ConfigError(
      'metrics.open is true, but admin.metrics serves GET /metrics at the address of administrators, where nothing is open. Set one of the two.',
    );
  if (admin.port === undefined) {
    if (admin.metrics)
      throw new ConfigError(
        'admin.metrics is true, but there is no admin.port where GET /metrics could be served. Set it, such as admin.port: 9000.',
      );
    return;
  }
  if (admin.port === 0 || admin.port !== server.port) return;
  throw new ConfigError(`admin.port is ${admin.port}, which is server.port: choose another one.`);
}

export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (bare === 'localhost') return true;
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback';
}
