/** Which model may answer instead of the one that was asked for. Pure. */
import type { Ability } from '../core/backend.ts';
import type { GenerationRequest, ModelId } from '../core/generation.ts';
import { imagesOf } from '../core/tool-images.ts';
import type { Target } from './targets.ts';

/**
 * The models that may answer instead, in the order in which they are asked: those of `fallback_models`, then theirs. Each once, so a
 * cycle ends.
 */
export function fallbackChain(
  model: ModelId,
  fallbackModels: ReadonlyMap<ModelId, readonly ModelId[]>,
): readonly ModelId[] {
  const chain = new Set([model]);
  for (const each of chain) for (const next of fallbackModels.get(each) ?? []) chain.add(next);
  chain.delete(model);
  return [...chain];
}

/** What a model must be able to do to answer the request. */
export function abilitiesNeeded({ input, tools, thinking }: GenerationRequest): readonly Ability[] {
  const needs: Ability[] = ['generate'];
  if (tools !== undefined && tools.choice !== 'none') needs.push('tools');
  if (thinking !== undefined && thinking !== false) needs.push('think');
  const hasImages =
    input.kind === 'chat' && input.messages.some((message) => imagesOf(message) !== undefined);
  if (hasImages) needs.push('see');
  return needs;
}

/** It has ids of tokens, which are others in another model's vocabulary: no other model can answer it. */
export function hasTokenIds({ input, sampling, limits }: GenerationRequest): boolean {
  return input.kind === 'tokens' || sampling.logitBias !== undefined || limits.stopTokens !== undefined;
}

/** The first need that none of the targets meets; undefined: they may be asked. What a target does not report it may be able to do. */
export function missingAbility(
  targets: readonly Pick<Target, 'status' | 'backend'>[],
  needs: readonly Ability[],
): Ability | undefined {
  return needs.find((need) =>
    targets.every(
      ({ status: { abilities }, backend }) =>
        (abilities !== undefined && !abilities.includes(need)) ||
        (need === 'embed' && backend.embed === undefined),
    ),
  );
}
