import { describe, expect, it } from 'vitest';
import { badWordTokens } from '../../../../../src/backends/llama-cpp/engine/bad-words.ts';

/** Each word with the blank before it is a token: its length, negative with a blank; unknown blanks are tokens of their own. */
const model = (joins: boolean) => ({
  tokenize: (text: string) => {
    const words = text.match(joins ? / ?[^ ]+/g : / |[^ ]+/g) ?? [];
    return words.map((word) => (word.startsWith(' ') && word !== ' ' ? -word.length : word.length));
  },
});

describe('tokens of words that never come', () => {
  it('are those of the word at the beginning and within a text', () => {
    expect(badWordTokens(['fox', 'red fox'], model(true))).toEqual([[3], [-4], [3, -4], [-4, -4]]);
  });

  it('are those at the beginning alone where a blank is a token by itself', () => {
    expect(badWordTokens(['fox'], model(false))).toEqual([[3]]);
  });

  it('do not depend on blanks that the client has put in front', () => {
    expect(badWordTokens([' fox'], model(true))).toEqual(badWordTokens(['fox'], model(true)));
    expect(badWordTokens([' '], model(true))).toEqual([]);
  });
});
