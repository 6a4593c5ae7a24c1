/** The composition root: configuration in, running application out. The only place that wires things together. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { KeyRing, StoredKeys } from './access/key-ring.ts';
import type { BackendEnvironment } from './backends/backend-definition.ts';
import type { EngineSharing } from './backends/engine-sharing.ts';
import { adminDoorOf, createAdministration } from './compose-admin.ts';
import { createKeys } from './compose-keys.ts';
import { openLeases } from './compose-leases.ts';
import { createLimitGate, seedBudgets } from './compose-limit-gate.ts';
import { openLimits } from './compose-limits.ts';
import { createReadyReport } from './compose-ready.ts';
import { openConfiguredStore } from './compose-store.ts';
import { createTelemetry } from './compose-telemetry.ts';
import { createTracing } from './compose-tracing.ts';
import { createUsage } from './compose-usage.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/load.ts';
import {
  createTargets,
  edgeSettings,
  metricsSettings,
  recordedSettings,
  servingSettings,
} from './configured.ts';
import type { ServedModel } from './core/backend.ts';
import type { DoorName } from './core/door-name.ts';
import { ServingError } from './core/errors.ts';
import type { LiveFeed } from './core/live-feed.ts';
import type { ApplicationLog } from './core/log.ts';
import type { Telemetry } from './core/request-trace.ts';
import type { SharedLimits } from './core/shared-limits.ts';
import { BodyBudget } from './http/body-limits.ts';
import { type ConnectionGate, ConnectionLimit } from './http/connection-limit.ts';
import { newId } from './http/open-requests.ts';
import { ReadingLine } from './http/reading-line.ts';
import type { ReloadOutcome } from './http/routes/admin.ts';
import { buildServer, type ListensAt } from './http/server.ts';
import { WrongKeys } from './http/wrong-keys.ts';
import type { LimitStore } from './limits/limit-store.ts';
import { findModel } from './models/catalog.ts';
import { type DownloadProgress, ensureModel, pullProgress } from './models/fetch.ts';
import { Reloader } from './reload.ts';
import { type Administered, administered } from './serving/administered.ts';
import type { DrainOptions } from './serving/drain.ts';
import type { LeaseState } from './serving/lease-state.ts';
import type { ControlOptions } from './serving/local-control.ts';
import { LocalControl } from './serving/local-control.ts';
import { Serving } from './serving/serving.ts';
import type { ServingControl } from './serving/serving-control.ts';
import type { WorkersState } from './serving/workers-state.ts';
import { systemClock } from './system-clock.ts';
import { KeyMetrics } from './telemetry/key-metrics.ts';
import { SnapshotFeed } from './telemetry/live-feed.ts';
import { EndedRequests } from './telemetry/live-tally.ts';
import { ProcessMetrics } from './telemetry/process-metrics.ts';
import type { ReadFamily } from './telemetry/process-sum.ts';
import { exposition } from './telemetry/prometheus.ts';
import type { Recorder } from './telemetry/recorder.ts';
import { workerFamilies } from './telemetry/worker-metrics.ts';

/** Who asks for it, in the log. */
export const RELOAD_TRIGGER = 'POST /admin/reload';

/** For the last answers, which are written but not yet read. */
const LAST_ANSWERS_WITHIN_MS = 1000;

/** For an export at the end; a receiver that is gone must not hold up the shutdown. */
const LAST_SPANS_WITHIN_MS = 3000;

export interface ApplicationOptions {
  readonly config: Config;
  /** Where its settings come from, for administrators. */
  readonly sources?: LoadedConfig['sources'];
  readonly log: ApplicationLog;
  readonly version: string;
  readonly cacheDirectory: string;
  /** Folder for what the server keeps; created when first needed. */
  readonly dataDirectory: string;
  readonly processEnvironment: BackendEnvironment['processEnvironment'];
  readonly onDownloadProgress: (progress: DownloadProgress) => void;
  /** The default model can be used, for the first time. */
  readonly onReady?: (model: ServedModel) => void;
  /** Reads the configuration again, from where it came. Throws ConfigError. */
  readonly readConfig: () => Promise<LoadedConfig>;
  /** An embedded model cannot be downloaded or loaded, at the start. */
  readonly onFatal: (error: ServingError) => void;
  readonly recorder?: (Pick<Recorder, 'requestEnded'> & Partial<Pick<Recorder, 'readSettings'>>) | undefined;
  /** Absent: this process serves alone. */
  readonly given?: GivenParts | undefined;
}

/** What a worker has of the control process, in place of its own. */
interface GivenParts {
  readonly instanceId: string;
  /** Unique among all processes that this server has started. */
  readonly name: string;
  /** How many there are, this one included. */
  readonly workers: number;
  /** Those of the store, where it takes the place of a dead one: then the store is opened when it is needed. */
  readonly keys: StoredKeys | undefined;
  readonly createControl: (options: ControlOptions) => ServingControl;
  readonly limitStore: LimitStore;
  readonly connectionGate: (door: DoorName) => ConnectionGate;
  readonly openConnections: () => number;
  readonly views: ViewsOfAll;
  readonly workersState: () => WorkersState;
  readonly engines: EngineSharing;
}

/** What is seen and done from outside, of all workers. */
export interface ViewsOfAll {
  readonly live: LiveFeed;
  readonly administered: Administered;
  readonly metrics: () => Promise<string>;
  /** Undefined: slots are not leased, or that cannot be said now. */
  readonly leases: () => Promise<LeaseState | undefined>;
  /** Undefined: each server counts for itself, or that cannot be said now. */
  readonly sharedLimits: () => Promise<SharedLimits | undefined>;
  readonly reload: () => Promise<ReloadOutcome>;
  /** What waits of usage is in the store then, or can't be. */
  readonly flushUsage: () => Promise<void>;
}

/** What this process has, for those who see that of all. */
export interface OwnViews {
  readonly metrics: () => readonly ReadFamily[];
  readonly serving: Pick<Serving, 'live' | 'active' | 'cancel'>;
  /** Collects nothing but while the control process listens. */
  readonly ended: EndedRequests;
  readonly flushUsage: () => Promise<void>;
}

/** The server as the program sees it, in one process or in several. */
export interface Application {
  /** What the start says depends on whether there are any. */
  readonly keys: Pick<KeyRing, 'isShut' | 'storeHeldKeys' | 'hasAdmin'>;
  /** Listens, then downloads and warms up in the background; resolves with the addresses once it listens. */
  start(): Promise<ListensAt>;
  /** Puts the configuration in force as it is by now. `trigger`: who asks, for the log, which also has the outcome. */
  reload(trigger: string): void;
  /** Finishes the requests under way within the grace period, which `delays` puts off, then closes. */
  stop(ending: { readonly delays: boolean }): Promise<void>;
  /** Ends everything now. */
  close(): Promise<void>;
}

/** The server in one process, or a part of it in a worker. */
interface ProcessApplication extends Application {
  /** Serves a connection that another process has accepted. */
  take(socket: Socket, door: DoorName): void;
  /** Puts that configuration in force, in this turn. Throws; then nothing has changed. */
  putInForce(trigger: string, loaded: LoadedConfig): void;
  readonly views: OwnViews;
  /** Finishes the requests under way. */
  drain(options: DrainOptions): Promise<void>;
  /** What the reference pages are generated from; needs no start. */
  describe(): Promise<{ readonly openapi: unknown; readonly metrics: string }>;
}

export async function compose(options: ApplicationOptions): Promise<ProcessApplication> {
  const { config, log, version, given } = options;
  const instanceId = given?.instanceId ?? newInstanceId();
  const environment = {
    ...options,
    clock: systemClock,
    hubUrl: config.cache.hub_url,
    instanceId,
    engines: given?.engines,
  };
  const telemetry: { current?: Telemetry } = {};
  const { store, families: storeFamilies } = await openConfiguredStore({
    ...options,
    opening: given?.keys === undefined ? 'now' : 'later',
  });
  const { ring: keys, watcher: keyWatcher } = await createKeys({
    config,
    store: store.keys,
    log,
    held: given?.keys,
    onFirstKey: () => reloader.keysChanged(),
    // A stream of GET /live goes on for as long as its reader likes: what it may see is decided again.
    onChange: () => live.disconnectAll(),
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  // They belong to whoever has the scheduler.
  const leases = given === undefined ? await openLeases({ config, log, instanceId }) : undefined;
  const serving = new Serving({
    clock: systemClock,
    log,
    targets: createTargets(config, environment),
    ...servingSettings(config, given?.workers),
    onTokenGap: (model, gapMs, target) => telemetry.current?.tokenGap(model, gapMs, target),
    onAttempt: (attempt) => telemetry.current?.attemptEnded(attempt),
    onMalformedEvent: (model, target) => telemetry.current?.malformedEvent(model, target),
    onFatal: (_, error) => options.onFatal(error),
    onTargetChange: () => reportReady(),
    hasManyKeys: () => keys.active > 1,
    newActiveId: () => newId('act'),
    leases: leases?.view,
    createControl:
      given?.createControl ?? ((parts) => new LocalControl({ ...parts, divideSlots: leases?.divideSlots })),
  });
  const reportReady = createReadyReport(serving, options.onReady);
  const edge = edgeSettings(config, keys, given?.workers);
  const bodyBudget = new BodyBudget(edge);
  const connectionLimit = new ConnectionLimit(edge);
  const observed = metricsSettings(config);
  const processMetrics = new ProcessMetrics();
  const ended = new EndedRequests(observed);
  const own = new SnapshotFeed({
    clock: systemClock,
    version,
    state: (viewer, done) => {
      const shared_limits = limits.shared();
      done({ ...serving.live(viewer), ...(shared_limits && { shared_limits }) });
    },
    settings: observed,
  });
  const live = given?.views.live ?? own;
  const readings = {
    ofCallers: new ReadingLine(systemClock, { limitsTime: true }),
    ofAdministrators: new ReadingLine(systemClock, { limitsTime: false }),
  };
  const usage = createUsage({ config, store, log, flushAll: given?.views.flushUsage });
  const keyMetrics = new KeyMetrics(() => keys.active);
  const limits =
    given === undefined
      ? await openLimits({ config, log, instanceId, maxKeys: () => edge.maxAddresses })
      : {
          store: given.limitStore,
          memory: undefined,
          settings: undefined,
          shared: () => undefined,
          families: [],
        };
  if (limits.memory !== undefined)
    await seedBudgets({ store: limits.memory, usage: store.usage, log, clock: systemClock });
  const tracing = createTracing({
    config,
    serving,
    log,
    version,
    instanceId: given === undefined ? instanceId : `${instanceId}-${given.name}`,
  });
  const counted = createTelemetry({
    serving,
    log,
    version,
    bodyBudget,
    openConnections: given?.openConnections ?? (() => connectionLimit.open),
    settings: observed,
    process: processMetrics,
    live: given === undefined ? own : ended,
    tracing,
    recorder: options.recorder,
    usage,
    limits,
    keyMetrics,
    storeFamilies: [...storeFamilies, ...(leases?.families ?? [])],
    metricsOfAll: given?.views.metrics,
  });
  telemetry.current = counted;
  const reloader = new Reloader({
    ...options,
    // The control process says it once for all workers.
    ...(given && { log: { ...log, info: log.debug, warn: log.debug } }),
    serving,
    edge,
    keys,
    observed,
    usage: usage.settings,
    sharedLimits: limits.settings,
    live,
    environment,
    workers: given?.workers,
  });
  keyWatcher.watch();
  options.recorder?.readSettings?.(() => recordedSettings(reloader.running, serving));
  const wrongKeys = new WrongKeys({ store: limits.store, onWrongKey: keyMetrics.wrongKey });
  const limitGate = createLimitGate({ store: limits.store, settings: edge, telemetry: counted });
  const server = buildServer({
    clock: systemClock,
    log,
    telemetry: counted,
    joinTrace: tracing?.joinTrace,
    serving,
    version,
    leases: given?.views.leases ?? (() => serving.leases()),
    sharedLimits: given?.views.sharedLimits ?? limits.shared,
    workers: given?.workersState,
    instanceId,
    pull: pullForClients(options, () => reloader.running),
    admin: createAdministration({
      administered: given?.views.administered ?? administered(serving),
      models: () => [...serving.targets.models],
      reload: given?.views.reload ?? (() => reloader.reload(RELOAD_TRIGGER)),
      store,
      reloader,
      log,
      keys,
      limitGate,
      readings: readings.ofAdministrators,
    }),
    adminDoor: adminDoorOf(config),
    settings: edge,
    keys,
    bodyTimeoutSeconds: config.server.body_timeout_seconds,
    bodyBudget,
    connectionLimit,
    connectionGate: given?.connectionGate,
    limitGate,
    wrongKeys,
    live,
    usage: usage.reader,
    readings,
  });
  const close = async () => {
    // They have no end of their own.
    live.close();
    const closed = server.close();
    processMetrics.close();
    await serving.close();
    const lastConnections = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_WITHIN_MS);
    await closed;
    clearTimeout(lastConnections);
    // Requests are reported at the end of the turn in which they ended: the last ones of this one.
    await new Promise<void>((resolve) => systemClock.atEndOfTurn(resolve));
    await tracing?.close(LAST_SPANS_WITHIN_MS);
    keyWatcher.close();
    await usage.close();
    await limits.store.close();
    await leases?.close();
    await store.close();
  };
  return {
    keys,
    start: async () => {
      const listensAt = await server.listen({ host: config.server.host, port: config.server.port });
      serving.start();
      return listensAt;
    },
    reload: (trigger) => reloader.reloadLater(trigger),
    stop: async ({ delays }) => {
      const { shutdown_delay_seconds, shutdown_grace_seconds } = reloader.running.server;
      await serving.drain.run({
        delayMs: delays ? shutdown_delay_seconds * 1000 : 0,
        graceMs: shutdown_grace_seconds * 1000,
      });
      await close();
    },
    close,
    take: (socket, door) => server.take(socket, door),
    putInForce: (trigger, loaded) => void reloader.putInForce(trigger, loaded),
    views: { metrics: counted.read, serving, ended, flushUsage: usage.flush },
    drain: (drained) => serving.drain.run(drained),
    describe: async () => {
      const { text } = await counted.metrics();
      const ofWorkers = exposition(workerFamilies(() => ({ count: 0, serving: 0, restarts: 0 })));
      return { openapi: server.describe(), metrics: `${text}\n${ofWorkers}` };
    },
  };
}

/** Names a server to others. */
export function newInstanceId(): string {
  return randomBytes(9).toString('base64url');
}

/** Lets clients have catalogue models downloaded, if the configuration allows it. */
function pullForClients({ cacheDirectory, log }: ApplicationOptions, running: () => Config) {
  return (name: string, signal: AbortSignal): AsyncIterable<DownloadProgress> => {
    const { allow_remote_pull, hub_url: hubUrl } = running().cache;
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
