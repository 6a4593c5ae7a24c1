/** Log-probabilities as native answers show them. */
import type { LikelyToken, TokenLogprob } from '../../core/generation.ts';
import { shownLogprob, tokenText } from '../token-text.ts';

export function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  return logprobs.map((token) => ({ ...renderToken(token), top_logprobs: token.top.map(renderToken) }));
}

function renderToken(likely: LikelyToken) {
  const { token, bytes } = likely;
  return {
    token: tokenText(likely),
    ...(token !== undefined && { token_id: token }),
    bytes,
    logprob: shownLogprob(likely),
  };
}
