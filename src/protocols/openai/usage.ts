/** Usage as OpenAI tells it: a prompt counts once, however many answers it was given. */
import { Type } from 'typebox';
import type { Usage } from '../../core/usage.ts';

const none = Type.Literal(0, { description: 'There is none here.' });

export const UsageAnswer = Type.Object({
  prompt_tokens: Type.Integer({ description: 'Once for each prompt, whatever n is.' }),
  completion_tokens: Type.Integer({ description: 'Of all choices together.' }),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({
    cached_tokens: Type.Integer({ description: 'Of the prompt, what had been computed before.' }),
    audio_tokens: none,
    cache_write_tokens: none,
  }),
  completion_tokens_details: Type.Object({
    reasoning_tokens: Type.Integer({
      description: 'Thoughts; 0 where the backend does not count them apart.',
    }),
    audio_tokens: none,
    accepted_prediction_tokens: none,
    rejected_prediction_tokens: none,
  }),
});

/** Of all answers in their order; those to one prompt stand together. */
export function renderUsage(usages: readonly Usage[], answersPerPrompt: number) {
  let promptTokens = 0;
  let cachedTokens = 0;
  let completionTokens = 0;
  let reasoningTokens = 0;
  for (let first = 0; first < usages.length; first += answersPerPrompt) {
    const ofPrompt = usages.slice(first, first + answersPerPrompt);
    promptTokens += Math.max(...ofPrompt.map((usage) => usage.promptTokens));
    // What the other answers found cached is what the first of them computed.
    cachedTokens += Math.min(...ofPrompt.map((usage) => usage.cachedTokens));
    for (const usage of ofPrompt) {
      completionTokens += usage.completionTokens;
      reasoningTokens += usage.reasoningTokens ?? 0;
    }
  }
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0, cache_write_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
