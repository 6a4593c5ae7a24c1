/** `llm-serve models pull`: fetches a model file, or waits for whoever fetches it already. */
import { ConfigError } from '../../config/config-error.ts';
import { defaultCacheDirectory } from '../../config/environment.ts';
import { ensureModel } from '../../models/ensure-model.ts';
import { systemClock } from '../../system-clock.ts';
import { openLog } from '../../telemetry/log.ts';
import { downloadReporter } from '../download-progress.ts';
import type { Flags } from '../flags.ts';
import { readConfig } from '../read-config.ts';
import { readName } from './name-argument.ts';
import { printLine } from './print.ts';

export async function pullModel(name: string, flags: Flags): Promise<number> {
  if (readName(name).kind === 'path')
    throw new ConfigError(
      `${name} is a path, and a file that is there need not be fetched. Give a catalogue name, hf:owner/repo/file.gguf or an https address.`,
    );
  const { config } = readConfig(flags);
  const log = openLog({
    ...config.logging,
    isTerminal: process.stdout.isTTY === true,
    clock: systemClock,
  });
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () =>
      interrupted.abort(new Error('interrupted; the same command goes on where this one stopped')),
    );
  try {
    const path = await ensureModel(name, {
      cacheDirectory: config.cache.directory ?? defaultCacheDirectory(),
      hubUrl: config.cache.hub_url,
      signal: interrupted.signal,
      log,
      onProgress: downloadReporter({ log, terminal: process.stderr }),
    });
    await log.close();
    printLine(path);
    return 0;
  } finally {
    await log.close();
  }
}
