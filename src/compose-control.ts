/**
 * The control process of a server with several workers: takes the connections and hands them over, and owns what there is once. The other
 * shape, one process that does all of it, is compose.ts.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { keysToHand } from './access/handed-keys.ts';
import type { BackendEnvironment } from './backends/backend-definition.ts';
import { EngineDirectory } from './backends/engine-sharing.ts';
import { type Application, type ApplicationOptions, newInstanceId } from './compose.ts';
import { adminDoorOf } from './compose-admin.ts';
import { createKeys } from './compose-keys.ts';
import { openLeases } from './compose-leases.ts';
import { seedBudgets } from './compose-limit-gate.ts';
import { openLimits } from './compose-limits.ts';
import { createReadyReport } from './compose-ready.ts';
import { openConfiguredStore } from './compose-store.ts';
import { queueGauges } from './compose-telemetry.ts';
import { type ControlViews, createControlViews } from './compose-views.ts';
import type { Config } from './config/config.ts';
import {
  createTargets,
  edgeSettings,
  metricsSettings,
  recordedSettings,
  servingSettings,
} from './configured.ts';
import type { DoorName } from './core/door-name.ts';
import { ServingError } from './core/errors.ts';
import { ConnectionLimit, ConnectionLimiter } from './http/connection-limit.ts';
import { type ListenAddress, listenOn } from './http/listening.ts';
import { type EdgeSettings, settingsAt } from './http/settings.ts';
import { Reloader } from './reload.ts';
import { LocalControl } from './serving/local-control.ts';
import { Serving } from './serving/serving.ts';
import type { Target } from './serving/targets.ts';
import { hostNow, systemClock } from './system-clock.ts';
import { Metrics } from './telemetry/metrics.ts';
import { ProcessMetrics } from './telemetry/process-metrics.ts';
import type { Recorder } from './telemetry/recorder.ts';
import { workerFamilies } from './telemetry/worker-metrics.ts';
import { ConnectionDoor } from './workers/connection-door.ts';
import { handsKeys, type KeysToHand } from './workers/handed-keys.ts';
import type { ConfigurationText, StartMessage } from './workers/life-messages.ts';
import { LimitHost } from './workers/limit-host.ts';
import { HostTime } from './workers/link.ts';
import { SchedulerHost } from './workers/scheduler-host.ts';
import { ToldEngines } from './workers/told-engines.ts';
import { type AttachedWorker, type WorkerPeer, WorkerPool } from './workers/worker-pool.ts';
import { WorkerProcess } from './workers/worker-process.ts';

interface ControlOptions extends Omit<ApplicationOptions, 'given' | 'recorder'> {
  readonly workers: number;
  readonly recorder?: Recorder | undefined;
  /** The program of a worker. */
  readonly workerPath: string;
  /** What each worker is told at its start. */
  readonly launch: Pick<StartMessage, 'isTerminal' | 'flags'>;
  /** The file that `config` was made of. */
  readonly file: ConfigurationText;
  /** Whole lines of the workers' logs, and of their error output. */
  readonly onOutput: (lines: string) => void;
  readonly onErrorOutput: (lines: string) => void;
}

export async function composeControl(options: ControlOptions): Promise<Application> {
  const { config, log, workers } = options;
  const instanceId = newInstanceId();
  const toldEngines = new ToldEngines();
  const engineDirectory = new EngineDirectory();
  const environment: BackendEnvironment = {
    ...options,
    clock: systemClock,
    hubUrl: config.cache.hub_url,
    instanceId,
    engines: {
      mode: 'owns',
      directory: engineDirectory,
      announce: (engine) => toldEngines.announce(engine),
    },
  };
  const { store, families: storeFamilies } = await openConfiguredStore(options);
  const { ring: keys, watcher: keyWatcher } = await createKeys({
    config,
    store: store.keys,
    log,
    onFirstKey: () => reloader.keysChanged(),
    onChange: () => {},
  }).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const control: { current?: LocalControl } = {};
  const leases = await openLeases({ config, log, instanceId });
  const serving = new Serving({
    clock: systemClock,
    log,
    createControl: (parts) => {
      const onTargetRemoved = (target: Target) => scheduling.targetRemoved(target);
      const { divideSlots } = leases;
      control.current = new LocalControl({ ...parts, onTargetRemoved, divideSlots });
      return control.current;
    },
    targets: createTargets(config, environment),
    ...servingSettings(config),
    leases: leases.view,
    // Tokens, tries and events are those of the workers.
    onTokenGap: () => {},
    onFatal: (_, error) => options.onFatal(error),
    onTargetChange: () => {
      scheduling.targetsChanged();
      reportReady();
    },
  });
  if (control.current === undefined) throw new Error('serving has made no control');
  const scheduling = new SchedulerHost({
    clock: systemClock,
    hostTime: new HostTime(systemClock, hostNow),
    control: control.current,
    targets: () => serving.targets,
    setDrained: (id, isDrained) => void serving.setDrained(id, isDrained),
  });
  const reportReady = createReadyReport(serving, options.onReady);
  const edge = edgeSettings(config, keys);
  const limits = await openLimits({ config, log, instanceId, maxKeys: () => edge.maxAddresses });
  if (limits.memory !== undefined)
    await seedBudgets({ store: limits.memory, usage: store.usage, log, clock: systemClock });
  const limitHost = new LimitHost(limits.store);
  const keysNow = () => keysToHand(keys.stored);
  const observed = metricsSettings(config);
  const processMetrics = new ProcessMetrics();
  const metrics = new Metrics({
    version: options.version,
    settings: observed,
    process: processMetrics,
    more: [...storeFamilies, ...leases.families, ...limits.families, ...workerFamilies(() => pool)],
    source: {
      ...queueGauges(serving),
      // Requests, their connections and their traces are those of the workers.
      oldestRequestMs: () => 0,
      spans: () => undefined,
      edge: () => ({ connections: 0, bodyBytes: 0 }),
    },
  });
  const views = createControlViews({
    version: options.version,
    serving,
    queue: control.current.slotQueue,
    settings: observed,
    metrics,
    reload: (trigger) => reloader.reload(trigger),
    recorder: options.recorder,
    sharedLimits: limits.shared,
  });
  const door = new ConnectionDoor<Socket>({ clock: systemClock, workers });
  const pool = new WorkerPool<Socket>({
    clock: systemClock,
    log,
    count: workers,
    door,
    start: (events) =>
      new WorkerProcess({
        ...events,
        clock: systemClock,
        path: options.workerPath,
        environment: { ...options.processEnvironment },
        onOutput: options.onOutput,
        onErrorOutput: options.onErrorOutput,
      }),
    startMessage: { ...options.launch, version: options.version, instanceId, file: options.file },
    attach: (peer) => attach(peer, { scheduling, limits: limitHost, toldEngines, views, keysNow }),
    onFatal: (message) => options.onFatal(new ServingError('internal', { message })),
  });
  const reloader = new Reloader({
    ...options,
    serving,
    edge,
    keys,
    observed,
    sharedLimits: limits.settings,
    environment,
    // Before anything of it reaches the control's own parts: what they send from then on, the workers understand.
    onPutInForce: (trigger, file) => pool.reload(trigger, file ?? null),
  });
  keyWatcher.watch();
  options.recorder?.readSettings(() => recordedSettings(reloader.running, serving));
  const onRefused = (bound: string) => metrics.connectionRefused(bound);
  const doors = openDoors({ config, edge, log, door, onRefused });
  const close = async (now: boolean) => {
    doors.close();
    await pool.close({ now });
    views.close();
    processMetrics.close();
    door.close();
    scheduling.close();
    await serving.close();
    engineDirectory.remove();
    keyWatcher.close();
    await limits.store.close();
    await leases.close();
    await store.close();
  };
  return {
    keys,
    start: async () => {
      const listensAt = await doors.listen();
      await pool.start();
      serving.start();
      return listensAt;
    },
    reload: (trigger) => reloader.reloadLater(trigger),
    stop: async ({ delays }) => {
      const { shutdown_delay_seconds, shutdown_grace_seconds } = reloader.running.server;
      const times = {
        delayMs: delays ? shutdown_delay_seconds * 1000 : 0,
        graceMs: shutdown_grace_seconds * 1000,
      };
      // Its own has no requests; from now on it refuses reloads.
      await Promise.all([pool.drain(times), serving.drain.run({ ...times, graceMs: 0 })]);
      await close(false);
    },
    close: () => close(true),
  };
}

/** What there is once for all workers. */
interface Hosts {
  readonly scheduling: SchedulerHost;
  readonly limits: LimitHost;
  readonly toldEngines: ToldEngines;
  readonly views: ControlViews;
  readonly keysNow: () => KeysToHand;
}

/** What the control process does for one worker: each message goes to what it is about. */
function attach(
  { name, send }: WorkerPeer,
  { scheduling, limits, toldEngines, views, keysNow }: Hosts,
): AttachedWorker {
  const limited = limits.connect(send);
  const scheduled = scheduling.connect(send, (call) => limited.admitted(call));
  const endEngines = toldEngines.attach(send);
  const viewed = views.attach(name, send);
  const handKeys = handsKeys(keysNow, send);
  return {
    receive: (message) => {
      switch (message.type) {
        case 'decide':
        case 'peek':
        case 'running':
        case 'settle':
        case 'unchanged':
          return limited.receive(message);
        case 'keys-wanted':
          return handKeys();
        case 'answers':
        case 'ask':
        case 'answer':
        case 'recorded':
        case 'unwatch':
          return viewed.receive(message);
        default:
          return scheduled.receive(message);
      }
    },
    ended: () => {
      scheduled.end();
      limited.end();
      endEngines();
      viewed.ended();
    },
  };
}

interface Doors {
  readonly config: Config;
  readonly edge: EdgeSettings;
  readonly log: ApplicationOptions['log'];
  readonly door: ConnectionDoor<Socket>;
  /** `bound`: the setting that a connection exceeded. */
  readonly onRefused: (bound: string) => void;
}

/** The listening sockets: that of everybody, and that of administrators, each with bounds of its own. */
function openDoors({ config, edge, log, door, onRefused }: Doors) {
  const adminDoor = adminDoorOf(config);
  const servers: Server[] = [];
  const open = async (name: DoorName, address: ListenAddress, settings: EdgeSettings) => {
    const limit = new ConnectionLimit(settings);
    const limiter = new ConnectionLimiter({ limit, log, onRefused });
    const accept = (socket: Socket) => {
      const admission = limiter.admit(socket);
      if (admission === undefined) return;
      // Nothing is read of it here: a reset is noticed by the worker.
      socket.on('error', () => {});
      const moveTo = (address: string) => {
        const exceeds = admission.moveTo(address);
        if (exceeds !== undefined) limiter.refuse(socket, address, exceeds);
        return exceeds === undefined;
      };
      door.accept({ door: name, socket, admission: { moveTo, close: admission.close } });
    };
    const listening = await listenOn(address, () =>
      createServer({ pauseOnConnect: true, noDelay: true }, accept),
    );
    servers.push(...listening.servers);
    return listening.url;
  };
  return {
    listen: async () => {
      // First the one that fewer need: where it can't be had, nothing is served.
      const adminUrl = adminDoor && (await open('admin', adminDoor, settingsAt(edge, adminDoor)));
      const { host, port } = config.server;
      return { url: await open('main', { host, port }, edge), adminUrl };
    },
    close: () => {
      for (const server of servers) server.close();
    },
  };
}
