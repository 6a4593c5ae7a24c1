/** `llm-serve serve`: reads the configuration, runs the application, and ends it on a signal. */
import { compose } from '../compose.ts';
import { defaultCacheDirectory, readEnvironment } from '../config/environment.ts';
import { printableText } from '../core/printable-text.ts';
import { systemClock } from '../system-clock.ts';
import { openLog } from '../telemetry/log.ts';
import { downloadReporter } from './download-progress.ts';
import type { Flags } from './flags.ts';
import { readConfig } from './read-config.ts';
import { processSignals, untilSignalled } from './signals.ts';
import { readVersion } from './version.ts';

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
