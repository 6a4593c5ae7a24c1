/** Log-probabilities as Ollama shows them. */
import type { TokenLogprob } from '../../core/generation.ts';
import { renderToken } from '../token-text.ts';

export function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  return logprobs.map((token) => ({
    ...renderToken(token),
    ...(token.top.length > 0 && { top_logprobs: token.top.map(renderToken) }),
  }));
}
