/**
 * By which digest each model is listed: clients key what they know of a model by it, so no two models share one, also where
 * they are served from one file; aliases are one model. Pure.
 */
import { createHash } from 'node:crypto';
import type { ModelId } from '../core/generation.ts';
import type { Target } from './target.ts';

/**
 * The first model that is served from a file has the file's own, as far as it is known; any other has one of its
 * configuration. Sixty-four hexadecimal digits.
 */
export function modelDigests(models: ReadonlyMap<ModelId, readonly Target[]>): ReadonlyMap<ModelId, string> {
  const taken = new Set<string>();
  return new Map(
    [...models].map(([id, targets]) => {
      const known = targets.flatMap(({ status }) => status.details?.digest ?? [])[0];
      const digest = known === undefined || taken.has(known) ? ofConfiguration(id, targets) : known;
      taken.add(digest);
      return [id, digest];
    }),
  );
}

function ofConfiguration(id: ModelId, targets: readonly Target[]): string {
  const places = targets.map(({ backendName, modelThere }) => [backendName, modelThere]);
  return createHash('sha256')
    .update(JSON.stringify([id, places]))
    .digest('hex');
}
