/** Log-probabilities as responses show them. */
import type { Static } from 'typebox';
import type { LikelyToken, TokenLogprob } from '../../../core/generation.ts';
import type { Logprobs } from './answer-schema.ts';

export type LogprobsBody = Static<typeof Logprobs>;

/** JSON has no infinity; what is rarer than this is as good as impossible. */
const LEAST_LOGPROB = -9999;

/** A token of bytes that are no character by themselves shows U+FFFD; its `bytes` are exact. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function renderLogprobs(logprobs: readonly TokenLogprob[]): LogprobsBody {
  return logprobs.map((token) => ({ ...renderToken(token), top_logprobs: token.top.map(renderToken) }));
}

function renderToken({ bytes, logprob }: LikelyToken) {
  return {
    token: decoder.decode(Uint8Array.from(bytes)),
    bytes: [...bytes],
    logprob: Math.max(logprob, LEAST_LOGPROB),
  };
}
