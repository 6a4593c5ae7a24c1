/** A worker: the whole edge, with what there is once for all workers at the other end of a link to the control process. */
import type { Socket } from 'node:net';
import type { StoredKeys } from './access/key-ring.ts';
import { type ApplicationOptions, compose } from './compose.ts';
import { answersOf, workerViews } from './compose-worker-views.ts';
import type { LoadedConfig } from './config/load.ts';
import { concernsModel, type RequestRecord } from './core/request-trace.ts';
import { hostNow, systemClock } from './system-clock.ts';
import { endedForRecord } from './telemetry/recorder.ts';
import { ControlPulse } from './workers/control-pulse.ts';
import { HandedConnections } from './workers/handed-connections.ts';
import { HeardEngines } from './workers/heard-engines.ts';
import type { ConfigurationText, HandedConnection, StartMessage } from './workers/life-messages.ts';
import { HostTime } from './workers/link.ts';
import type { ToControl, ToWorker } from './workers/messages.ts';
import { answer } from './workers/questions.ts';
import { RemoteControl } from './workers/remote-control.ts';
import { RemoteLimitStore } from './workers/remote-limit-store.ts';

interface WorkerOptions extends Omit<ApplicationOptions, 'given' | 'readConfig' | 'onFatal'> {
  readonly start: StartMessage;
  /** That the control process has handed over. */
  readonly keys: StoredKeys | undefined;
  readonly send: (message: ToControl) => void;
  /** What was sent and has not left this process yet. */
  readonly unsentBytes: () => number;
  /** Writes what was sent in this turn. */
  readonly flush: () => void;
  /** Throws ConfigError. */
  readonly parseConfig: (file: ConfigurationText) => LoadedConfig;
  /** It cannot go on; another one is to take its place. */
  readonly onFailed: (message: string) => void;
  /** It has ended as it was asked to. */
  readonly onEnded: () => void;
}

interface Worker {
  /** Resolves when the control process has told what requests depend on. */
  informed(): Promise<void>;
  /** A message that the control process has sent. */
  receive(message: ToWorker): void;
  /** A connection that it has handed over. */
  take(note: HandedConnection, socket: Socket): void;
}

export async function composeWorker(options: WorkerOptions): Promise<Worker> {
  const { start, flush, config, log, parseConfig, onFailed, onEnded } = options;
  const pulse = new ControlPulse({
    clock: systemClock,
    unsentBytes: options.unsentBytes,
    ask: () => options.send({ type: 'ping' }),
    onChange: (isSilent) => {
      if (!isSilent) {
        log.warn('the control process answers again');
        return;
      }
      limitStore.interrupt();
      log.error('the control process does not answer: new requests are refused until it does');
    },
    onSilentTick: () => control.current?.slotQueue.expire(),
  });
  const send = (message: ToControl) => {
    pulse.sent();
    options.send(message);
  };
  let serving = start.workers;
  const connections = new HandedConnections({ send, onRefused: () => {} });
  const limitStore = new RemoteLimitStore({
    send,
    flush: () => {
      control.current?.slotQueue.sendLate();
      flush();
    },
    mayAsk: () => !pulse.isStalled,
    isShared: config.limits.store !== 'memory:',
  });
  const engines = new HeardEngines();
  const hostTime = new HostTime(systemClock, hostNow);
  const control: { current?: RemoteControl } = {};
  const views = workerViews({
    send,
    leasesSlots: config.leases.store !== 'memory:',
    sharesLimits: config.limits.store !== 'memory:',
    pulse,
  });
  let isRecorded = false;
  const recorder = {
    requestEnded: (record: RequestRecord) => {
      if (isRecorded && concernsModel(record.trace))
        send({ type: 'recorded', request: endedForRecord(record, systemClock) });
    },
  };
  const application = await compose({
    ...options,
    recorder,
    readConfig: () => Promise.reject(new Error('a worker reads no configuration: it is sent one')),
    onFatal: ({ message }) => onFailed(message),
    given: {
      instanceId: start.instanceId,
      name: start.name,
      workers: start.workers,
      keys: options.keys,
      createControl: (parts) => {
        control.current = new RemoteControl({ ...parts, name: `w${start.name}`, hostTime, send });
        return control.current;
      },
      limitStore,
      connectionGate: () => ({
        watch: () => {},
        moveTo: (socket, address, stays) => connections.moveTo(socket, address, stays),
      }),
      openConnections: () => connections.open,
      views: views.ofAll,
      workersState: () => ({ configured: start.workers, serving, isStalled: pulse.isStalled }),
      engines: { mode: 'joins', watch: (engine, listener) => engines.watch(engine, listener) },
    },
  });
  const answers = answersOf(application.views);
  send({ type: 'answers' });
  let allIdle = () => {};
  const end = (ending: Promise<void>) => void ending.then(onEnded, (error: Error) => onFailed(error.message));
  return {
    informed: async () => control.current?.informed,
    take: (note, socket) => {
      connections.take(note, socket);
      application.take(socket, note.door);
    },
    receive: (message) => {
      pulse.heard();
      switch (message.type) {
        case 'workers-serving':
          serving = message.serving;
          return;
        case 'reload':
          try {
            application.putInForce(message.trigger, parseConfig(message.file));
          } catch (error) {
            onFailed(`it cannot take the configuration: ${(error as Error).message}`);
          }
          return;
        case 'connection-stays':
          return connections.stays(message.id);
        case 'connection-refused':
          return connections.refused(message.id);
        case 'drain': {
          const { delayMs, graceMs } = message;
          const others = {
            report: (isIdle: boolean) => send({ type: 'idle', isIdle }),
            areIdle: new Promise<void>((resolve) => {
              allIdle = resolve;
            }),
          };
          return end(application.drain({ delayMs, graceMs, others }).then(() => application.close()));
        }
        case 'all-idle':
          return allIdle();
        case 'close':
          return end(application.close());
        case 'granted':
        case 'rejected':
        case 'position':
        case 'targets':
        case 'target-removed':
        case 'answer-length':
        case 'contended':
          return control.current?.receive(message);
        case 'decided':
        case 'peeked':
          return limitStore.receive(message);
        case 'engine':
          return engines.hear(message);
        case 'ask':
          return void answer(message, answers, send);
        case 'answer':
          return views.asker.receive(message);
        case 'records':
          isRecorded = true;
          return;
        case 'live-listens':
          return application.views.ended.listen(message.listens);
        case 'live-snapshot':
        case 'live-heartbeat':
        case 'live-end':
          return views.live.receive(message);
        default:
      }
    },
  };
}
