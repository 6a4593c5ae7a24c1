/** Log-probabilities as Ollama shows them. */
import type { LikelyToken, TokenLogprob } from '../../core/generation.ts';

/** JSON has no infinity; what is rarer than this is as good as impossible. */
const LEAST_LOGPROB = -9999;

/** A token of bytes that are no character by themselves shows U+FFFD; its `bytes` are exact. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  return logprobs.map((token) => ({
    ...renderToken(token),
    ...(token.top.length > 0 && { top_logprobs: token.top.map(renderToken) }),
  }));
}

function renderToken({ bytes, logprob }: LikelyToken) {
  return {
    token: decoder.decode(Uint8Array.from(bytes)),
    logprob: Math.max(logprob, LEAST_LOGPROB),
    bytes,
  };
}
