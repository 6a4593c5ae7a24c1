/** Holds the targets of the embedded engine to `cache.allowed_folders`: here, because links are on the disk. */
import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { defaultCacheDirectory } from '../config/environment.ts';
import { outsideOf } from '../models/allowed-folders.ts';
import { parseReference } from '../models/reference.ts';

export function checkAllowedFolders({ cache, models }: Config): void {
  if (cache.allowed_folders.length === 0) return;
  const folders = [...cache.allowed_folders, cache.directory ?? defaultCacheDirectory()];
  for (const [modelIndex, { targets }] of models.entries()) {
    for (const [index, { definition, values }] of targets.entries()) {
      const reference = definition.embedded ? parseReference(values.model) : undefined;
      if (reference?.kind !== 'path') continue;
      const outside = outsideOf(folders, reference.path);
      if (outside === undefined) continue;
      throw new ConfigError(
        `models[${modelIndex}].targets[${index}].model is ${JSON.stringify(values.model)}, which leads to ${outside}, ` +
          `but cache.allowed_folders permits model files in ${folders.join(', ')} only.`,
      );
    }
  }
}
