/** `llm-serve serve`: reads the configuration, runs the application, and ends it on a signal. */
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { type Application, compose } from '../compose.ts';
import { accessNotices } from '../config/access-rules.ts';
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { defaultCacheDirectory, defaultDataDirectory, readEnvironment } from '../config/environment.ts';
import type { ServedModel } from '../core/backend.ts';
import { builtEntry } from '../core/built-entry.ts';
import { type Log, printableText } from '../core/log.ts';
import { systemClock } from '../system-clock.ts';
import { openLog } from '../telemetry/log.ts';
import { bannerText } from './banner.ts';
import { downloadReporter } from './download-progress.ts';
import { configFileOf, configOf, type Flags, readConfigFile, readConfigFileAgain } from './read-config.ts';
import { openRecordFile, startRecorder } from './record.ts';
import { storeFlagsOf } from './store-flags.ts';
import { readVersion } from './version.ts';
import { machineFiles, watchConfigFile } from './watch-file.ts';
import { workerCount } from './worker-count.ts';

const EXIT_FAILURE = 1;

interface ServeOptions {
  readonly watches: boolean;
  /** The file that requests are recorded in. */
  readonly record: string | undefined;
}

export async function serve(flags: Flags, { watches, record }: ServeOptions): Promise<number> {
  const file = readConfigFile(flags);
  const { config, sources, warnings } = configOf(flags, file);
  let configFile = configFileOf(flags);
  const workers = workerCount(config.server.workers);
  if (watches && configFile === undefined)
    throw new ConfigError(
      '--watch needs a configuration file: name it with --config, or create llm-serve.yaml here.',
    );
  const recordFile = record === undefined ? undefined : openRecordFile(record);
  const isTerminal = process.stdout.isTTY === true;
  const log = openLog({ ...config.logging, isTerminal, clock: systemClock });
  // First of all: a signal during the start is a graceful end as well.
  const endAtOnce = () => void log.close().finally(() => process.exit(EXIT_FAILURE));
  let reload: (trigger: string) => void = () => log.info('SIGHUP is ignored: the server is starting');
  const signalled = untilSignalled(processSignals(endAtOnce), log, () => reload('SIGHUP'));
  for (const warning of warnings) log.warn(warning);
  const version = readVersion();
  const recorder = recordFile && startRecorder(recordFile, { log, version });
  let fail: (message: string) => void = () => {};
  const failed = new Promise<'failed'>((resolve) => {
    fail = (message) => {
      process.stderr.write(`llm-serve: ${printableText(message)}\n`);
      resolve('failed');
    };
  });
  let onReady: (model: ServedModel) => void = () => {};
  const ready = new Promise<ServedModel>((resolve) => {
    onReady = resolve;
  });
  const options = {
    config,
    sources,
    log,
    version,
    cacheDirectory: config.cache.directory ?? defaultCacheDirectory(),
    dataDirectory: config.data.directory ?? defaultDataDirectory(),
    processEnvironment: readEnvironment(),
    readConfig: async () => {
      // One that was made since the start counts: a restart would find it too.
      configFile ??= configFileOf(flags);
      return configOf(flags, await readConfigFileAgain(configFile));
    },
    onDownloadProgress: downloadReporter({ log, terminal: process.stderr }),
    onReady,
    onFatal: (error: Error) => fail(error.message),
    recorder,
  };
  const startsWorkers = async () => {
    const { composeControl } = await import('../compose-control.ts');
    return composeControl({
      ...options,
      workers,
      workerPath: fileURLToPath(builtEntry('./worker.js', import.meta.url)),
      launch: { isTerminal, flags: flags.values },
      file,
      onOutput: (lines) => log.copy(lines),
      onErrorOutput: (lines) => void process.stderr.write(lines),
    });
  };
  const application = await (workers > 1 ? startsWorkers() : compose(options)).catch(
    async (error: unknown) => {
      await recorder?.close();
      await log.close();
      throw error;
    },
  );
  let endWatch = () => {};
  const ended = Promise.race([failed, signalled]);
  const announce = ({ url: address, adminUrl }: Awaited<ReturnType<Application['start']>>) => {
    log.info(`llm-serve ${version} listens on ${address}`, { models: config.models.map(({ id }) => id) });
    if (adminUrl !== undefined) log.info(`administration is served on ${adminUrl} alone`);
    for (const notice of accessNotices(config, application.keys)) log.info(notice);
    if (record !== undefined) log.info(`requests are recorded in ${record}`);
    reload = application.reload;
    if (watches && configFile !== undefined) {
      endWatch = watchConfigFile(machineFiles, configFile, () => reload(`${configFile} has changed`));
      log.info(`${configFile} is watched: a change is reloaded`);
    }
    const otherModels = config.models.length - 1;
    void ready.then((model) => {
      const needsKey = application.keys.isShut;
      const storeFlags = storeFlagsOf(flags);
      log.print(bannerText({ version, address, adminUrl, model, otherModels, needsKey, storeFlags }));
    });
  };
  try {
    // Workers that cannot start keep it waiting for as long as they are tried again: that ends by a signal, too.
    const started = await Promise.race([application.start(), ended]);
    if (started !== 'failed' && 'url' in started) announce(started);
  } catch (error) {
    fail(listenFailure(error as ListenError, config));
  }
  const ending = await ended;
  endWatch();
  // After a failure there is no request to wait for.
  await (ending === 'failed' ? application.close() : application.stop(ending));
  await recorder?.close();
  const exitCode = ending === 'failed' ? EXIT_FAILURE : 0;
  log.info('stopped', { exitCode });
  await log.close();
  return exitCode;
}

/** Node tells which port it was. */
type ListenError = NodeJS.ErrnoException & { readonly port?: number };

function listenFailure(error: ListenError, { server, admin }: Pick<Config, 'server' | 'admin'>): string {
  const isAdmin = admin.port !== undefined && admin.port !== 0 && error.port === admin.port;
  const { host, port = 0 } = isAdmin ? admin : server;
  const flag = isAdmin ? '--admin.port' : '--port';
  if (error.code === 'EADDRINUSE')
    return `Port ${port} on ${host} is in use by another program. Stop it, or choose another port: ${flag} ${port + 1}.`;
  if (error.code === 'EACCES')
    return `This user may not open port ${port}. Choose one above 1023, such as ${flag} ${isAdmin ? 9000 : 8000}.`;
  return `Cannot listen on ${host}:${port}: ${error.message}`;
}

export interface Shutdown {
  /** Waits for load balancers to notice (`server.shutdown_delay_seconds`). A person who pressed Ctrl-C does not wait. */
  readonly delays: boolean;
}

/** Where signals come from and what they do: the process itself, except in tests. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  /** One of the standard streams is a terminal that is still open. */
  hasTerminal(): boolean;
  schedule(delayMs: number, run: () => void): void;
  /** Ends the process without waiting for anything. */
  endAtOnce(): void;
}

/** The signal may come a moment before its terminal is gone. */
const TERMINAL_GONE_WITHIN_MS = 1000;

function processSignals(endAtOnce: () => void): SignalSource {
  return {
    on: (signal, listener) => process.on(signal, listener),
    hasTerminal: () => [0, 1, 2].some((descriptor) => isatty(descriptor)),
    schedule: (delayMs, run) => void setTimeout(run, delayMs).unref(),
    endAtOnce,
  };
}

/**
 * Resolves with the first signal that ends the server: SIGTERM, SIGINT, or SIGHUP when its terminal was closed. A second SIGTERM or
 * SIGINT ends it at once. Any other SIGHUP calls `onReload`.
 */
export function untilSignalled(source: SignalSource, log: Log, onReload: () => void): Promise<Shutdown> {
  const startedOnTerminal = source.hasTerminal();
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      signals += 1;
      if (signals > 1) return source.endAtOnce();
      log.info(`${signal}: finishing open requests; a second signal ends the server at once`);
      resolve({ delays: signal === 'SIGTERM' });
    };
    source.on('SIGTERM', onSignal);
    source.on('SIGINT', onSignal);

    const endIfTerminalClosed = () => {
      if (!startedOnTerminal || source.hasTerminal()) return false;
      log.info('The terminal was closed: finishing open requests');
      resolve({ delays: false });
      return true;
    };
    source.on('SIGHUP', () => {
      if (endIfTerminalClosed()) return;
      if (!startedOnTerminal) return onReload();
      source.schedule(TERMINAL_GONE_WITHIN_MS, () => {
        if (!endIfTerminalClosed()) onReload();
      });
    });
  });
}
