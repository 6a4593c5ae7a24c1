/** Which targets other servers use too, and by what name all of them know one. Pure. */
import { shownAddress } from '../schema/shown-address.ts';
import type { Config } from './config.ts';
import { ConfigError } from './config-error.ts';

type ModelConfig = Config['models'][number];
type TargetConfig = ModelConfig['targets'][number];

/** Undefined: it is not shared. Names are keys in the lease store, and labels: they have no secrets. */
export function sharedNameOf(model: string, { values }: Pick<TargetConfig, 'values'>): string | undefined {
  const { url, shared = true, model: upstreamModel, data_parallel_rank: rank } = values;
  if (!shared || typeof url !== 'string') return undefined;
  const name = `${model}: ${upstreamModel} at ${shownAddress(url)}`;
  return rank === undefined ? name : `${name} rank ${rank}`;
}

/** Slots of two targets that are one could not be told apart. */
export function distinctSharedTargets({ leases, models }: Config): void {
  if (leases.store === 'memory:') return;
  for (const [index, { id, targets }] of models.entries()) {
    const names = targets.map((target) => sharedNameOf(id, target));
    for (const [place, name] of names.entries()) {
      const first = names.indexOf(name);
      if (name === undefined || first === place) continue;
      throw new ConfigError(
        `models[${index}].targets[${place}] has the url and model of models[${index}].targets[${first}], so leases.store cannot divide their slots. Make one target of them, with the slots of both, or set shared: false.`,
      );
    }
  }
}
