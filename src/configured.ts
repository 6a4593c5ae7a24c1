/** What the configuration becomes: the targets with their backends, and the settings of serving and of the edge. A reload makes them again. */
import type { BackendEnvironment } from './backends/backend-definition.ts';
import { limitsRate, type StoredKeys } from './config/access-rules.ts';
import type { Config } from './config/config.ts';
import { isLoopbackHost } from './config/rules.ts';
import { sharedNameOf } from './config/shared-targets.ts';
import type { RecordedSettings } from './core/record-file.ts';
import { parseRanges } from './http/client-address.ts';
import type { EdgeSettings } from './http/settings.ts';
import type { LimitSettings } from './limits/limit-plan.ts';
import type { ServingChanges } from './serving/serving.ts';
import type { Target, TargetSettings, Targets } from './serving/targets.ts';
import type { SharedLimitSettings } from './stores/valkey/shared-limit-store.ts';
import type { MetricsSettings } from './telemetry/metrics.ts';
import { Prices } from './usage/prices.ts';
import type { UsageSettings } from './usage/usage-writer.ts';

type TargetConfig = Config['models'][number]['targets'][number];

/** `known`: the targets that go on, by their names. Throws what a backend throws, after closing those that were created before. */
export function createTargets(
  { models, leases }: Config,
  environment: BackendEnvironment,
  known: ReadonlyMap<string, Target> = new Map(),
): Target[] {
  const created: Target[] = [];
  try {
    return models.flatMap(({ id: model, targets }) =>
      targets.map((config) => {
        const target = known.get(config.name);
        if (target !== undefined) return target;
        const isDivided = leases.store !== 'memory:';
        const sharedAs = isDivided ? sharedNameOf(model, config) : undefined;
        const fresh = { ...createTarget(model, config, environment), sharedAs };
        created.push(fresh);
        return fresh;
      }),
    );
  } catch (error) {
    for (const { backend } of created) void backend.close().catch(() => {});
    throw error;
  }
}

function createTarget(model: string, config: TargetConfig, environment: BackendEnvironment): Target {
  const { name, definition, values } = config;
  return {
    id: name,
    model,
    backendName: definition.name,
    upstreamModel: values.model,
    server: definition.server?.(values),
    url: typeof values.url === 'string' ? values.url : undefined,
    backend: definition.create({ ...values, slots: slotsOf(config), id: name }, environment),
    embedded: definition.embedded,
    cacheIsolation: definition.cacheIsolation?.(values),
    ...targetSettings(config),
    status: { state: 'loading', loaded: false },
    health: 'starting',
  };
}

/** `auto` begins without a number of its own. */
function slotsOf({ definition, values: { slots } }: TargetConfig): number {
  return slots === 'auto' ? definition.defaultSlots : slots;
}

/** What a reload can change of a target that goes on. */
export function targetSettings(config: TargetConfig): TargetSettings {
  const { weight, role, slotsConfigured, values } = config;
  return {
    weight,
    role,
    slots: slotsOf(config),
    slotsAdaptive: values.slots === 'auto',
    slotsConfigured,
    firstTokenTimeoutMs: values.first_token_timeout_ms,
    idleTimeoutMs: values.idle_timeout_ms,
    answerTimeoutMs: values.answer_timeout_ms,
  };
}

/** `workers`: how many processes share what is for the whole server. */
export function servingSettings(config: Config, workers = 1): Omit<ServingChanges, 'targets'> {
  const { models, scheduler, retry, routing } = config;
  return {
    defaultModel: config.default_model,
    aliases: new Map(models.flatMap(({ id, aliases }) => aliases.map((alias) => [alias, id] as const))),
    fallbackModels: new Map(models.map(({ id, fallbackModels }) => [id, fallbackModels])),
    dropUnsupported: config.compatibility === 'lenient',
    scheduler: {
      mode: scheduler.mode,
      order: scheduler.order,
      maxBatchSize: scheduler.max_batch_size,
      windowMs: scheduler.window_ms,
      maxQueue: scheduler.max_queue,
      maxQueuePerClient: scheduler.max_queue_per_client ?? Number.POSITIVE_INFINITY,
      maxQueueBytes: scheduler.max_queue_bytes,
      maxBatchTokens: scheduler.max_batch_tokens ?? Number.POSITIVE_INFINITY,
      maxTokensInFlight: scheduler.max_tokens_in_flight ?? Number.POSITIVE_INFINITY,
      agingMs: scheduler.aging_ms,
      maxOvertakes: scheduler.max_overtakes,
      routing: { policy: routing.policy, prefixAffinity: routing.prefix_affinity, random: Math.random },
    },
    queueTimeoutMs: scheduler.queue_timeout_ms,
    retry: {
      attempts: retry.attempts,
      budget: { percent: retry.budget_percent, perSecond: retry.budget_per_second / workers },
    },
    resume: config.resume,
  };
}

/** `workers`: how many processes share what is for the whole server. */
export function edgeSettings(
  config: Config,
  stored: Pick<StoredKeys, 'storeHeldKeys'>,
  workers = 1,
): EdgeSettings {
  const { server, auth, metrics, scheduler, generation, rate_limit, prices, tracing } = config;
  return {
    onLoopback: isLoopbackHost(server.host),
    allowsOpen: auth.allow_open,
    trustedProxies: parseRanges(server.trusted_proxies),
    trustedHops: server.trusted_hops,
    proxyProtocol: server.proxy_protocol,
    apiKeys: auth.api_keys,
    adminKeys: auth.admin_keys,
    metricsAreOpen: metrics.open,
    corsOrigins: server.cors_origins,
    bodyLimitBytes: server.body_limit_bytes,
    mediaBodyLimitBytes: server.media_body_limit_bytes,
    maxBodyBytesInFlight: bodyBytesOfOne(server, workers),
    maxConnections: server.max_connections,
    maxConnectionsPerAddress: server.max_connections_per_address,
    limits: limitSettings(config, stored),
    prices: prices.models,
    currency: prices.currency,
    maxAddresses: rate_limit.max_keys,
    defaultMaxTokens: generation.max_tokens,
    requestTimeoutMs: generation.request_timeout_ms,
    highPriorityClients: parseRanges(scheduler.high_priority_clients),
    heartbeatMs: server.heartbeat_seconds * 1000,
    streamBufferBytes: server.stream_buffer_bytes,
    stalledReaderMs: server.stalled_reader_seconds * 1000,
    traceContents: tracing.content,
  };
}

/** Each worker has an equal share, and room for one of the largest bodies. */
function bodyBytesOfOne(server: Config['server'], workers: number): number {
  if (workers === 1) return server.max_body_bytes_in_flight;
  const largest = Math.max(server.body_limit_bytes, server.media_body_limit_bytes);
  return Math.max(largest, Math.floor(server.max_body_bytes_in_flight / workers));
}

export function usageSettings({ usage, prices }: Config): UsageSettings {
  return {
    enabled: usage.enabled,
    flushMs: usage.flush_seconds * 1000,
    maxRows: usage.max_rows,
    prices: new Prices(prices.models),
    currency: prices.currency,
  };
}

export function sharedLimitSettings({ limits }: Config): SharedLimitSettings {
  return { timeoutMs: limits.timeout_ms, onFailure: limits.on_failure };
}

function limitSettings(config: Config, stored: Pick<StoredKeys, 'storeHeldKeys'>): LimitSettings {
  const { rate_limit, limits } = config;
  const { requests, window_seconds: windowSeconds } = rate_limit;
  return {
    rateLimit: limitsRate(config, stored) ? { requests, windowSeconds } : undefined,
    all: limits.all,
    perKey: limits.per_key,
    perTeam: limits.per_team,
    perAddress: limits.per_address,
    perModel: limits.per_model,
    keys: limits.keys,
    teams: limits.teams,
    models: limits.models,
  };
}

export function metricsSettings({ objectives, metrics }: Config): MetricsSettings {
  return {
    objectives: { ttftMs: objectives.ttft_ms, tpotMs: objectives.tpot_ms, e2eMs: objectives.e2e_ms },
    vllmNames: metrics.vllm_names,
  };
}

/** What a replay of the record needs; the slots are those of now. */
export function recordedSettings(
  { scheduler, routing, objectives }: Config,
  serving: { readonly targets: Targets; slotsOf(target: Target): number },
): RecordedSettings {
  return {
    mode: scheduler.mode,
    order: scheduler.order,
    max_batch_size: scheduler.max_batch_size,
    window_ms: scheduler.window_ms,
    max_queue: scheduler.max_queue,
    max_queue_per_client: scheduler.max_queue_per_client ?? null,
    max_queue_bytes: scheduler.max_queue_bytes,
    max_batch_tokens: scheduler.max_batch_tokens ?? null,
    max_tokens_in_flight: scheduler.max_tokens_in_flight ?? null,
    aging_ms: scheduler.aging_ms,
    max_overtakes: scheduler.max_overtakes,
    routing: routing.policy,
    queue_timeout_ms: scheduler.queue_timeout_ms,
    objectives: {
      ttft_ms: objectives.ttft_ms ?? null,
      tpot_ms: objectives.tpot_ms ?? null,
      e2e_ms: objectives.e2e_ms ?? null,
    },
    targets: serving.targets.all.map((target) => ({
      name: target.id,
      model: target.model,
      slots: serving.slotsOf(target),
      weight: target.weight,
      role: target.role,
    })),
  };
}
