import { describe, expect, it } from 'vitest';
import type { Sequence, Token } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { SequencePool } from '../../../../../src/backends/llama-cpp/engine/sequence-pool.ts';

function sequence(held: Token[]): Sequence {
  const compareContextTokens = (tokens: Token[]) => {
    const different = held.findIndex((token, index) => tokens[index] !== token);
    return { firstDifferentIndex: different === -1 ? held.length : different };
  };
  return { compareContextTokens } as unknown as Sequence;
}

describe('SequencePool', () => {
  it('lends the sequence that shares the longest beginning with the prompt', () => {
    const [a, b, c] = [sequence([1, 2]), sequence([1, 2, 3]), sequence([])];
    expect(new SequencePool([a, b, c]).take([1, 2, 3, 4])).toBe(b);
  });

  it('lends the least recently used of those that share as much', () => {
    const [a, b] = [sequence([1]), sequence([1])];
    const pool = new SequencePool([a, b]);
    expect(pool.take([1])).toBe(a);
    pool.giveBack(a);
    expect(pool.take([1])).toBe(b);
  });

  it('lends each sequence to one generation at a time', () => {
    const pool = new SequencePool([sequence([])]);
    expect(pool.take([1])).toBeDefined();
    expect(pool.hasIdle).toBe(false);
    expect(pool.take([1])).toBeUndefined();
  });
});
