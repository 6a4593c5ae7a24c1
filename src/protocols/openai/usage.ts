/** Usage as OpenAI tells it: a prompt counts once, however many answers it was given. */
import { Type } from 'typebox';
import type { Usage } from '../../core/usage.ts';

export const UsageAnswer = Type.Object({
  prompt_tokens: Type.Integer({ description: 'Once for each prompt, whatever n is.' }),
  completion_tokens: Type.Integer({ description: 'Of all choices together.' }),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({
    cached_tokens: Type.Integer({ description: 'Of the prompt, what had been computed before.' }),
  }),
});

/** Of all answers in their order; those to one prompt stand together. */
export function renderUsage(usages: readonly Usage[], answersPerPrompt: number) {
  let promptTokens = 0;
  let cachedTokens = 0;
  let completionTokens = 0;
  for (let first = 0; first < usages.length; first += answersPerPrompt) {
    const ofPrompt = usages.slice(first, first + answersPerPrompt);
    promptTokens += Math.max(...ofPrompt.map((usage) => usage.promptTokens));
    // What the other answers found cached is what the first of them computed.
    cachedTokens += Math.min(...ofPrompt.map((usage) => usage.cachedTokens));
    for (const usage of ofPrompt) completionTokens += usage.completionTokens;
  }
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
