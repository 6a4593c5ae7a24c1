/** The composition root: configuration in, running application out. The only place that wires things together. */
import type { BackendEnvironment } from './backends/backend-definition.ts';
import type { Config } from './config/config.ts';
import { isLoopbackHost } from './config/rules.ts';
import type { ServedModel } from './core/backend.ts';
import { ServingError } from './core/errors.ts';
import type { ApplicationLog } from './core/log.ts';
import type { Telemetry } from './core/request-trace.ts';
import { BodyBudget } from './http/body-limits.ts';
import { parseRanges } from './http/client-address.ts';
import { ConnectionLimit } from './http/limits.ts';
import { buildServer } from './http/server.ts';
import type { EdgeSettings } from './http/settings.ts';
import { findModel } from './models/catalog.ts';
import { type DownloadProgress, ensureModel, pullProgress } from './models/fetch.ts';
import { Serving } from './serving/serving.ts';
import { getsRequests, slotCountOf, type Target } from './serving/targets.ts';
import { systemClock } from './system-clock.ts';
import { isProbe, REQUEST, requestFields } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { EXPOSITION_TYPE } from './telemetry/prometheus.ts';

/** For the last answers, which are written but not yet read. */
const LAST_ANSWERS_WITHIN_MS = 1000;

interface ApplicationOptions {
  readonly config: Config;
  readonly log: ApplicationLog;
  readonly version: string;
  readonly cacheDirectory: string;
  readonly processEnvironment: BackendEnvironment['processEnvironment'];
  readonly onDownloadProgress: (progress: DownloadProgress) => void;
  /** The default model can be used, for the first time. */
  readonly onReady?: (model: ServedModel) => void;
  /** An embedded model cannot be downloaded or loaded. */
  readonly onFatal: (error: ServingError) => void;
}

interface Application {
  /** Listens, then downloads and warms up in the background; resolves with the address once it listens. */
  start(): Promise<string>;
  /** Finishes the requests under way within the grace period, which `delays` puts off, then closes. */
  stop(ending: { readonly delays: boolean }): Promise<void>;
  /** Ends everything now. */
  close(): Promise<void>;
  /** What the reference pages are generated from; needs no start. */
  describe(): Promise<{ readonly openapi: unknown; readonly metrics: string }>;
}

export async function compose(options: ApplicationOptions): Promise<Application> {
  const { config, log, version } = options;
  const targets = createTargets(options);
  const telemetry: { current?: Telemetry } = {};
  const serving = new Serving({
    clock: systemClock,
    log,
    targets,
    defaultModel: config.default_model,
    aliases: new Map(
      config.models.flatMap(({ id, aliases }) => aliases.map((alias) => [alias, id] as const)),
    ),
    dropUnsupported: config.compatibility === 'lenient',
    scheduler: {
      mode: config.scheduler.mode,
      order: config.scheduler.order,
      maxBatchSize: config.scheduler.max_batch_size,
      windowMs: config.scheduler.window_ms,
      maxQueue: config.scheduler.max_queue,
      maxQueuePerClient: config.scheduler.max_queue_per_client ?? Number.POSITIVE_INFINITY,
      maxQueueBytes: config.scheduler.max_queue_bytes,
      maxBatchTokens: config.scheduler.max_batch_tokens ?? Number.POSITIVE_INFINITY,
      maxTokensInFlight: config.scheduler.max_tokens_in_flight ?? Number.POSITIVE_INFINITY,
      agingMs: config.scheduler.aging_ms,
      maxOvertakes: config.scheduler.max_overtakes,
    },
    queueTimeoutMs: config.scheduler.queue_timeout_ms,
    retry: {
      attempts: config.retry.attempts,
      budget: { percent: config.retry.budget_percent, perSecond: config.retry.budget_per_second },
    },
    fallbackModels: new Map(config.models.map(({ id, fallbackModels }) => [id, fallbackModels])),
    resume: config.resume,
    onTokenGap: (model, gapMs) => telemetry.current?.tokenGap(model, gapMs),
    onAttempt: (attempt, outcome) => telemetry.current?.attemptEnded(attempt, outcome),
    onMalformedEvent: (model, target) => telemetry.current?.malformedEvent(model, target),
    onFatal: (_, error) => options.onFatal(error),
    onTargetChange: () => reportReady(),
  });
  let isReported = false;
  const reportReady = () => {
    if (isReported || serving.targets.readiness({ draining: false }).status !== 'ready') return;
    isReported = true;
    const model = serving.targets.list().find(({ id }) => id === config.default_model);
    if (model !== undefined) options.onReady?.(model);
  };
  const edge = edgeSettings(config);
  const bodyBudget = new BodyBudget(edge);
  const connectionLimit = new ConnectionLimit(edge);
  telemetry.current = createTelemetry({ serving, log, version, bodyBudget, connectionLimit });
  const server = buildServer({
    clock: systemClock,
    log,
    telemetry: telemetry.current,
    serving,
    version,
    pull: pullForClients(options),
    settings: edge,
    bodyTimeoutSeconds: config.server.body_timeout_seconds,
    bodyBudget,
    connectionLimit,
  });
  const close = async () => {
    const closed = server.close();
    await serving.close();
    const lastConnections = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_WITHIN_MS);
    await closed;
    clearTimeout(lastConnections);
    // Requests are reported at the end of the turn in which they ended: the last ones of this one.
    await new Promise<void>((resolve) => systemClock.atEndOfTurn(resolve));
  };
  return {
    start: async () => {
      const address = await server.listen({ host: config.server.host, port: config.server.port });
      serving.start();
      return address;
    },
    stop: async ({ delays }) => {
      const { shutdown_delay_seconds, shutdown_grace_seconds } = config.server;
      await serving.drain.run({
        delayMs: delays ? shutdown_delay_seconds * 1000 : 0,
        graceMs: shutdown_grace_seconds * 1000,
      });
      await close();
    },
    close,
    describe: async () => {
      const metrics = telemetry.current?.metrics();
      return { openapi: server.describe(), metrics: metrics?.text ?? '' };
    },
  };
}

function createTargets({ config, ...options }: ApplicationOptions): Target[] {
  const environment: BackendEnvironment = { clock: systemClock, hubUrl: config.cache.hub_url, ...options };
  return config.models.flatMap((model) =>
    model.targets.map(({ name, weight, role, definition, values, slotsConfigured }) => ({
      id: name,
      model: model.id,
      weight,
      role,
      backendName: definition.name,
      upstreamModel: values.model,
      backend: definition.create(values, environment),
      embedded: definition.embedded,
      slots: values.slots,
      slotsConfigured,
      cacheIsolation: definition.cacheIsolation?.(values),
      firstTokenTimeoutMs: values.first_token_timeout_ms,
      idleTimeoutMs: values.idle_timeout_ms,
      answerTimeoutMs: values.answer_timeout_ms,
      status: { state: 'loading', loaded: false },
      health: 'starting',
    })),
  );
}

function createTelemetry(parts: {
  readonly serving: Serving;
  readonly log: ApplicationLog;
  readonly version: string;
  readonly bodyBudget: BodyBudget;
  readonly connectionLimit: ConnectionLimit;
}): Telemetry {
  const { serving, log, version, bodyBudget, connectionLimit } = parts;
  const metrics = new Metrics({
    version,
    source: {
      loads: () => serving.loads(),
      targets: () =>
        serving.targets.all.map((target) => {
          const { slots, tokens } = serving.usedOf(target);
          return {
            model: target.model,
            target: target.id,
            up: getsRequests(target),
            health: target.health,
            ejections: serving.ejectionsOf(target),
            slots: slotCountOf(target),
            slotsUsed: slots,
            tokensInFlight: tokens,
          };
        }),
      oldestRequestMs: () => {
        const receivedAt = serving.drain.oldestReceivedAt;
        return receivedAt === undefined ? 0 : systemClock.now() - receivedAt;
      },
      edge: () => ({ connections: connectionLimit.open, bodyBytes: bodyBudget.bytes }),
    },
  });
  return {
    requestEnded: (record) => {
      metrics.requestEnded(record);
      if (isProbe(record)) log.debug(REQUEST, requestFields(record));
      else log.request(requestFields(record));
    },
    connectionRefused: (bound) => metrics.connectionRefused(bound),
    attemptEnded: (attempt, outcome) => metrics.attemptEnded(attempt, outcome),
    tokenGap: (model, gapMs) => metrics.tokenGap(model, gapMs),
    malformedEvent: (model, target) => metrics.malformedEvent(model, target),
    metrics: () => ({ contentType: EXPOSITION_TYPE, text: metrics.text() }),
  };
}

function edgeSettings({ server, auth, scheduler, generation, rate_limit }: Config): EdgeSettings {
  const { enabled, requests, window_seconds: windowSeconds } = rate_limit;
  return {
    onLoopback: isLoopbackHost(server.host),
    trustedProxies: parseRanges(server.trusted_proxies),
    apiKeys: auth.api_keys,
    adminKeys: auth.admin_keys,
    corsOrigins: server.cors_origins,
    bodyLimitBytes: server.body_limit_bytes,
    mediaBodyLimitBytes: server.media_body_limit_bytes,
    maxBodyBytesInFlight: server.max_body_bytes_in_flight,
    maxConnections: server.max_connections,
    maxConnectionsPerAddress: server.max_connections_per_address,
    rateLimit: enabled ? { requests, windowSeconds } : undefined,
    maxAddresses: rate_limit.max_keys,
    defaultMaxTokens: generation.max_tokens,
    requestTimeoutMs: generation.request_timeout_ms,
    highPriorityClients: parseRanges(scheduler.high_priority_clients),
    heartbeatMs: server.heartbeat_seconds * 1000,
    streamBufferBytes: server.stream_buffer_bytes,
    stalledReaderMs: server.stalled_reader_seconds * 1000,
  };
}

/** Lets clients have catalogue models downloaded, if the configuration allows it. */
function pullForClients({ config, cacheDirectory, log }: ApplicationOptions) {
  const { allow_remote_pull, hub_url: hubUrl } = config.cache;
  return (name: string, signal: AbortSignal): AsyncIterable<DownloadProgress> => {
    if (!allow_remote_pull)
      throw new ServingError('forbidden', {
        message:
          'This server does not download models for clients. Its operator can allow it with cache.allow_remote_pull: true.',
      });
    if (findModel(name) === undefined)
      throw new ServingError('model_not_found', {
        message: `model is ${JSON.stringify(name)}, which is not in the catalogue. llm-serve models list shows the catalogue.`,
        param: 'model',
      });
    return pullProgress((options) => ensureModel(name, { cacheDirectory, hubUrl, log, ...options }), signal);
  };
}
