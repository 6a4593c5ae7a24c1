/** How likely scripted words are: the one that is said has the probability 1/2, the next 1/4, and so on. Pure and deterministic. */
import type { LikelyToken, TokenLogprob } from '../../core/generation.ts';

const VOCABULARY_SIZE = 50_000;

export function logprobOf(word: string, top: number): TokenLogprob {
  const others = Array.from({ length: Math.max(0, top - 1) }, (_, index) =>
    likely(` other${index + 1}`, index + 1),
  );
  const said = likely(word, 0);
  return { ...said, top: top === 0 ? [] : [said, ...others] };
}

function likely(word: string, rank: number): LikelyToken {
  return { token: tokenOf(word), bytes: [...Buffer.from(word)], logprob: Math.log(2 ** -(rank + 1)) };
}

/** The same for the same word; two words may share one. */
function tokenOf(word: string): number {
  let token = 0;
  for (let index = 0; index < word.length; index += 1)
    token = (token * 31 + word.charCodeAt(index)) % VOCABULARY_SIZE;
  return token;
}
