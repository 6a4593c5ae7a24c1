/** Log-probabilities as chat completions show them. */
import type { LikelyToken, TokenLogprob } from '../../../core/generation.ts';
import { shownLogprob, tokenText } from '../token-text.ts';

export function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  const content = logprobs.map((token) => ({
    ...renderToken(token),
    top_logprobs: token.top.map(renderToken),
  }));
  return { content, refusal: null };
}

function renderToken(token: LikelyToken) {
  return { token: tokenText(token), logprob: shownLogprob(token), bytes: token.bytes };
}
