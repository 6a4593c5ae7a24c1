/** Lets clients have models of the catalogue fetched, where the configuration allows it. A part of the composition root. */
import type { Config } from './config/config.ts';
import { ServingError } from './core/errors.ts';
import type { Log } from './core/log.ts';
import { findModel } from './models/catalog.ts';
import type { DownloadProgress } from './models/fetch.ts';
import { ensureModel, pullProgress } from './models/fetch.ts';

export function remotePull({
  config,
  cacheDirectory,
  log,
}: {
  readonly config: Config;
  readonly cacheDirectory: string;
  readonly log: Log;
}) {
  return (name: string, signal: AbortSignal): AsyncIterable<DownloadProgress> => {
    if (!config.cache.allow_remote_pull)
      throw new ServingError('forbidden', {
        message: 'Models are not fetched for clients here. Set cache.allow_remote_pull: true to have it so.',
      });
    if (findModel(name) === undefined)
      throw new ServingError('model_not_found', {
        message: `model is ${JSON.stringify(name)}, which the catalogue does not have. llm-serve models list shows what it has.`,
        param: 'model',
      });
    const { hub_url: hubUrl } = config.cache;
    return pullProgress((options) => ensureModel(name, { cacheDirectory, hubUrl, log, ...options }), signal);
  };
}
