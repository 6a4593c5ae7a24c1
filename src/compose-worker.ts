/** A worker: the whole edge, with what there is once for all workers at the other end of a link to the control process. */
import type { Socket } from 'node:net';
import { type ApplicationOptions, compose } from './compose.ts';
import type { LoadedConfig } from './config/load.ts';
import { MemoryLimitStore } from './limits/memory-limit-store.ts';
import { LocalControl } from './serving/local-control.ts';
import { systemClock } from './system-clock.ts';
import { HandedConnections } from './workers/handed-connections.ts';
import type { ConfigurationText, HandedConnection, StartMessage } from './workers/life-messages.ts';
import type { ToControl, ToWorker } from './workers/messages.ts';

interface WorkerOptions extends Omit<ApplicationOptions, 'given' | 'readConfig' | 'onFatal'> {
  readonly start: StartMessage;
  readonly send: (message: ToControl) => void;
  /** Throws ConfigError. */
  readonly parseConfig: (file: ConfigurationText) => LoadedConfig;
  /** It cannot go on; another one is to take its place. */
  readonly onFailed: (message: string) => void;
  /** It has ended as it was asked to. */
  readonly onEnded: () => void;
}

interface Worker {
  /** A message that the control process has sent. */
  receive(message: ToWorker): void;
  /** A connection that it has handed over. */
  take(note: HandedConnection, socket: Socket): void;
}

export async function composeWorker(options: WorkerOptions): Promise<Worker> {
  const { start, send, config, parseConfig, onFailed, onEnded } = options;
  const connections = new HandedConnections({ send, onRefused: () => {} });
  const limitStore = new MemoryLimitStore({ clock: systemClock, maxKeys: () => config.rate_limit.max_keys });
  let file = start.file;
  const application = await compose({
    ...options,
    readConfig: async () => parseConfig(file),
    onFatal: ({ message }) => onFailed(message),
    given: {
      instanceId: start.instanceId,
      workers: start.workers,
      createControl: (parts) => new LocalControl(parts),
      limitStore,
      connectionGate: () => ({
        watch: () => {},
        moveTo: (socket, address, stays) => connections.moveTo(socket, address, stays),
      }),
      openConnections: () => connections.open,
    },
  });
  let allIdle = () => {};
  const end = (ending: Promise<void>) => void ending.then(onEnded, (error: Error) => onFailed(error.message));
  return {
    take: (note, socket) => {
      connections.take(note, socket);
      application.take(socket, note.door);
    },
    receive: (message) => {
      switch (message.type) {
        case 'reload':
          file = message.file;
          try {
            application.putInForce(message.trigger, parseConfig(file));
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
        default:
      }
    },
  };
}
