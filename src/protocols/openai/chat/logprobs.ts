/** Log-probabilities as chat completions show them. */
import type { TokenLogprob } from '../../../core/generation.ts';
import { renderToken } from '../../token-text.ts';

export function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  const content = logprobs.map((token) => ({
    ...renderToken(token),
    top_logprobs: token.top.map(renderToken),
  }));
  return { content, refusal: null };
}
