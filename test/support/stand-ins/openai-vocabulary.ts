/** The words of the played model as tokens: each gets its number when it is first met. What is told of them, and their log-probabilities. */
import { countTokens } from './stand-in-model.ts';

type Wire = Readonly<Record<string, unknown>>;

export const VOCABULARY_SIZE = 49_152;

export class PlayedVocabulary {
  readonly #words: string[] = [];

  encode(text: string): number[] {
    const words = text.split(/\s+/u).filter((word) => word !== '');
    // As countTokens: an empty text is one token too.
    return words.length === 0
      ? Array<number>(countTokens(text)).fill(0)
      : words.map((word) => this.tokenOf(word));
  }

  decode(tokens: readonly number[]): string {
    return tokens.map((token) => this.#words[token] ?? '').join(' ');
  }

  tokenOf(word: string): number {
    const known = this.#words.indexOf(word.trim());
    return known === -1 ? this.#words.push(word.trim()) - 1 : known;
  }
}

/** The one that is said has the probability 1/2; it comes first, the others in no order. */
export function chatLogprobs(token: string, top: number, idOf?: (word: string) => number): Wire {
  const entry = (text: string, rank: number) => ({
    ...(idOf === undefined ? {} : { id: idOf(text) }),
    token: text,
    bytes: [...Buffer.from(text)],
    logprob: Math.log(2 ** -(rank + 1)),
  });
  const others = othersOf(top).map((text, index) => entry(text, index + 1));
  const top_logprobs = top === 0 ? [] : [entry(token, 0), ...others.reverse()];
  return { content: [{ ...entry(token, 0), top_logprobs }] };
}

/** The older form, with one more than was asked for. */
export function completionLogprobs(token: string, top: number): Wire {
  const all = [token, ...othersOf(top + 1)];
  const alternatives = Object.fromEntries(all.map((text, rank) => [text, Math.log(2 ** -(rank + 1))]));
  return {
    text_offset: [0],
    token_logprobs: [Math.log(0.5)],
    tokens: [token],
    top_logprobs: [alternatives],
  };
}

function othersOf(top: number): string[] {
  return Array.from({ length: Math.max(0, top - 1) }, (_, index) => ` other${index + 1}`);
}
