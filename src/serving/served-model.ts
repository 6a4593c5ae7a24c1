/** What the targets of a model have in common, and who can speak of its vocabulary. Pure. */
import type { Tokenizer } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { ServedModel } from '../core/served-model.ts';
import { canServe, type Target } from './target.ts';

export function servedModel(
  id: ModelId,
  targets: readonly Target[],
  { aliases, digest }: { readonly aliases: ReadonlyMap<string, ModelId>; readonly digest: string },
): ServedModel {
  return {
    id,
    aliases: [...aliases].flatMap(([alias, model]) => (model === id ? [alias] : [])),
    contextSize: largestContext(targets),
    ready: targets.some(({ status }) => canServe(status)),
    details: targets.flatMap(({ status }) => status.details ?? [])[0] ?? {},
    digest,
    abilities: [...new Set(targets.flatMap(({ status }) => status.abilities ?? []))],
    targets: targets.map(({ backendName, modelThere, status }) => ({
      backend: backendName,
      model: modelThere,
      state: status.state,
      loaded: status.loaded,
    })),
  };
}

export function largestContext(targets: readonly Target[]): number | undefined {
  const sizes = targets.flatMap(({ status }) => status.contextSize ?? []);
  return sizes.length === 0 ? undefined : Math.max(...sizes);
}

export function tokenizerOf(model: ModelId, targets: readonly Target[]): Tokenizer {
  const telling = targets.filter(({ backend }) => backend.tokenizer !== undefined);
  if (telling.length === 0)
    throw new ServingError('unsupported_parameter', {
      message: `model is ${JSON.stringify(model)}, whose backend does not tell its tokens (${targets.map(({ backendName }) => backendName).join(', ')}). Ask for another model.`,
      param: 'model',
    });
  const up = telling.find(({ status }) => canServe(status));
  if (up?.backend.tokenizer !== undefined) return up.backend.tokenizer;
  const isLoading = telling.some(({ status }) => status.state === 'loading' || status.restarting);
  throw new ServingError(isLoading ? 'model_loading' : 'no_backend_available', { retryAfterSeconds: 1 });
}
