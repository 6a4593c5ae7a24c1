/**
 * The tokens of words that an answer must not have, as vLLM takes them: each word as it stands at the beginning of a text, and
 * where it makes another first token and as many in all, with a blank in front. Pure, but for the model.
 */
import type { Model, Token } from './library.ts';

export function badWordTokens(words: readonly string[], model: Pick<Model, 'tokenize'>): readonly Token[][] {
  return words.flatMap((word) => {
    const bare = word.trimStart();
    const first = model.tokenize(bare, false);
    const within = model.tokenize(` ${bare}`, false);
    const isOther = within[0] !== first[0] && within.length === first.length;
    return [first, ...(isOther ? [within] : [])].filter((tokens) => tokens.length > 0);
  });
}
