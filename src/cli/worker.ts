/**
 * The program of a worker, started by the control process: `server.workers`. Its first message says what to serve. Signals of a terminal
 * or a service manager are for the control process, whose end ends the workers at once.
 */
import { Socket } from 'node:net';
import { keyOfHanded, ringKeys } from '../access/handed-keys.ts';
import type { StoredKeys } from '../access/key-ring.ts';
import { composeWorker } from '../compose-worker.ts';
import { defaultCacheDirectory, defaultDataDirectory, readEnvironment } from '../config/environment.ts';
import { reloadedSince } from '../config/reload-plan.ts';
import { tieToParent } from '../lifeline/lifeline.ts';
import { systemClock } from '../system-clock.ts';
import { openLog } from '../telemetry/log.ts';
import { WantedKeys } from '../workers/handed-keys.ts';
import type { HandedConnection, Ping, StartMessage } from '../workers/life-messages.ts';
import { Link } from '../workers/link.ts';
import type { ToControl, ToWorker } from '../workers/messages.ts';
import { LINK_DESCRIPTORS } from '../workers/worker-process.ts';
import { acceptedConfigOf } from './read-config.ts';
import { readVersion } from './version.ts';

const EXIT_FAILURE = 1;

type Beside = HandedConnection | Ping;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Without the control process nobody sends requests, and nobody decides about them.
const endAtOnce = () => process.kill(process.pid, 'SIGKILL');
process.on('disconnect', endAtOnce);

/** Until it is composed, what comes next waits. */
let receive: (message: ToWorker) => void = (message) => {
  if (message.type === 'start') void run(message);
  else if (message.type === 'keys') wantedKeys.receive(message);
  else waiting.push(message);
};
const waiting: ToWorker[] = [];
const link = new Link<ToControl, ToWorker>({
  input: new Socket({ fd: LINK_DESCRIPTORS.toWorker }),
  output: new Socket({ fd: LINK_DESCRIPTORS.toControl, readable: false }),
  clock: systemClock,
  onMessage: (message) => receive(message),
  onEnd: endAtOnce,
});
const wantedKeys = new WantedKeys((message) => link.send(message), keyOfHanded);
let take: ((connection: HandedConnection, socket: Socket) => void) | undefined;
// From the first turn on: a start that takes long is not a worker that hangs.
process.on('message', (message: Beside, socket: Socket | undefined) => {
  if (message.type === 'ping') link.send({ type: 'alive' });
  else if (socket !== undefined) take?.(message, socket);
});

async function keysOfControl(): Promise<StoredKeys> {
  const { keys, ofAll } = await wantedKeys.all();
  return ringKeys(keys, ofAll);
}

async function run(start: StartMessage): Promise<void> {
  const parseConfig = (file: StartMessage['file']) => acceptedConfigOf({ values: start.flags }, file);
  const end = async (exitCode: number) => {
    await Promise.all([link.close(), log?.close()]);
    process.exit(exitCode);
  };
  const onFailed = (message: string, needsRestart = false) => {
    link.send({ type: 'failed', message, needsRestart });
    void end(EXIT_FAILURE);
  };
  let log: ReturnType<typeof openLog> | undefined;
  const version = readVersion();
  if (version !== start.version) {
    const because = `its files are of version ${version} by now, the server is of ${start.version}: restart the server`;
    onFailed(because, true);
    return;
  }
  try {
    const { isTerminal, number, file, reloaded } = start;
    const started = parseConfig(file);
    const { config, sources } =
      reloaded === undefined ? started : reloadedSince(started, parseConfig(reloaded));
    const opened = openLog({ ...config.logging, isTerminal, clock: systemClock, fields: { worker: number } });
    log = opened;
    tieToParent(opened.warn);
    const worker = await composeWorker({
      start,
      // One that takes another's place serves also while the store cannot be reached.
      keys: start.isReplacement ? await keysOfControl() : undefined,
      config,
      sources,
      log: opened,
      version,
      cacheDirectory: config.cache.directory ?? defaultCacheDirectory(),
      dataDirectory: config.data.directory ?? defaultDataDirectory(),
      processEnvironment: readEnvironment(),
      parseConfig,
      onDownloadProgress: () => {},
      send: (message) => link.send(message),
      unsentBytes: () => link.unsentBytes,
      flush: () => link.flush(),
      onFailed,
      onEnded: () => void end(0),
    });
    receive = worker.receive;
    for (const message of waiting.splice(0)) worker.receive(message);
    await worker.informed();
    take = worker.take;
    link.send({ type: 'serving' });
  } catch (error) {
    onFailed(error instanceof Error ? error.message : String(error));
  }
}
