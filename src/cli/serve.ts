/** `llm-serve serve`: reads the configuration, runs the application, and ends it on a signal. */

import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { compose } from '../compose.ts';
import { defaultCacheDirectory, readEnvironment } from '../config/settings.ts';
import { type Log, printableText } from '../core/log.ts';
import { systemClock } from '../system-clock.ts';
import { openLog } from '../telemetry/log.ts';
import { downloadReporter } from './download-progress.ts';
import { type Flags, readConfig } from './read-config.ts';

const EXIT_FAILURE = 1;

export async function serve(flags: Flags): Promise<number> {
  const { config, warnings, notices } = readConfig(flags);
  const isTerminal = process.stdout.isTTY === true;
  const log = openLog({ ...config.logging, isTerminal, clock: systemClock });
  // First of all: a signal during the start is a polite end as well.
  const endAtOnce = () => void log.close().finally(() => process.exit(EXIT_FAILURE));
  const signalled = untilSignalled(processSignals(endAtOnce), log);
  for (const warning of warnings) log.warn(warning);
  const version = readVersion();
  let fail: (message: string) => void = () => {};
  const failed = new Promise<'failed'>((resolve) => {
    fail = (message) => {
      process.stderr.write(`llm-serve: ${printableText(message)}\n`);
      resolve('failed');
    };
  });
  const application = await compose({
    config,
    log,
    version,
    cacheDirectory: config.cache.directory ?? defaultCacheDirectory(),
    processEnvironment: readEnvironment(),
    onDownloadProgress: downloadReporter({ log, terminal: process.stderr }),
    onFatal: (error) => fail(error.message),
  });
  try {
    const address = await application.start();
    log.info(`llm-serve ${version} listens on ${address}`, { models: config.models.map(({ id }) => id) });
    for (const notice of notices) log.info(notice);
  } catch (error) {
    fail(explainListen(error as NodeJS.ErrnoException, config.server));
  }
  const ending = await Promise.race([failed, signalled]);
  // After a failure there is nothing to finish, and nobody is to wait for it.
  await (ending === 'failed' ? application.close() : application.stop(ending));
  const exitCode = ending === 'failed' ? EXIT_FAILURE : 0;
  log.info('stopped', { exitCode });
  await log.close();
  return exitCode;
}

function explainListen(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): string {
  if (error.code === 'EADDRINUSE')
    return `Port ${port} on ${host} is taken by another program. Stop it or choose another: --port ${port + 1}.`;
  if (error.code === 'EACCES')
    return `Port ${port} may not be opened by this user. Choose one above 1023, such as --port 8000.`;
  return `Cannot listen on ${host}:${port}: ${error.message}`;
}

/** Which signals end the server, and how politely. SIGTERM and SIGINT drain it, a second one of them ends it at once. */

export interface Shutdown {
  /** Load balancers are given time to notice (`server.shutdown_delay_seconds`): not where somebody waits for the end. */
  readonly delays: boolean;
}

/** What the signals come from and lead to; the process itself, but for tests. */
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

/** Resolves with the first signal that ends the server. */
export function untilSignalled(source: SignalSource, log: Log): Promise<Shutdown> {
  const startedOnTerminal = source.hasTerminal();
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      signals += 1;
      if (signals > 1) return source.endAtOnce();
      log.info(`${signal}: finishing what is under way; a second signal ends at once`);
      resolve({ delays: signal === 'SIGTERM' });
    };
    source.on('SIGTERM', onSignal);
    source.on('SIGINT', onSignal);

    const endIfTerminalClosed = () => {
      if (!startedOnTerminal || source.hasTerminal()) return false;
      log.info('The terminal was closed: finishing what is under way');
      resolve({ delays: false });
      return true;
    };
    source.on('SIGHUP', () => {
      if (endIfTerminalClosed()) return;
      const ignore = () => log.info('SIGHUP is ignored: it has no meaning in this release');
      if (!startedOnTerminal) return ignore();
      source.schedule(TERMINAL_GONE_WITHIN_MS, () => {
        if (!endIfTerminalClosed()) ignore();
      });
    });
  });
}

/** The version of this build, from package.json beside dist/. */

export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
