/** Log-probabilities as responses show them. */
import type { Static } from 'typebox';
import type { LikelyToken, TokenLogprob } from '../../../core/generation.ts';
import { renderToken } from '../../token-text.ts';
import type { Logprobs } from './answer-schema.ts';

export type LogprobsBody = Static<typeof Logprobs>;

export function renderLogprobs(logprobs: readonly TokenLogprob[]): LogprobsBody {
  return logprobs.map((token) => ({ ...shown(token), top_logprobs: token.top.map(shown) }));
}

function shown(token: LikelyToken) {
  return { ...renderToken(token), bytes: [...token.bytes] };
}
