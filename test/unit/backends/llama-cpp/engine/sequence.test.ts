import { describe, expect, it } from 'vitest';
import type { NativeContext } from '../../../../../src/backends/llama-cpp/engine/native.ts';
import { Sampler } from '../../../../../src/backends/llama-cpp/engine/sampler.ts';
import { Sequence } from '../../../../../src/backends/llama-cpp/engine/sequence.ts';
import { fakeContext } from '../../../../support/fake-context.ts';

function holding(tokens: readonly number[], context: Partial<NativeContext> = {}): Sequence {
  const sequence = new Sequence(0, { ...fakeContext(), ...context }, new Sampler({ applyConfig() {} }, []));
  sequence.keep(0, undefined);
  sequence.extend(tokens);
  return sequence;
}

describe('a sequence', () => {
  it('keeps the beginning that it is told to keep', () => {
    const cut: (readonly number[])[] = [];
    const sequence = holding([1, 2, 3, 4], {
      removeTokenCellsFromSequence: (...call) => {
        cut.push(call);
        return true;
      },
    });
    expect(sequence.keep(2, undefined)).toBe(2);
    expect(cut).toEqual([[0, 2, 4]]);
    expect(sequence.sharedWith([1, 2, 3], undefined)).toBe(2);
  });

  it('forgets all where the model’s memory cannot be cut', () => {
    const sequence = holding([1, 2, 3, 4], { removeTokenCellsFromSequence: () => false });
    expect(sequence.keep(2, undefined)).toBe(0);
    expect(sequence.length).toBe(0);
  });

  it('forgets all where a sliding window has dropped the first cells', () => {
    const sequence = holding([1, 2, 3, 4], { getSequenceKvCacheMinPosition: () => 1 });
    expect(sequence.keep(2, undefined)).toBe(0);
  });

  it('goes on where it is, whatever its memory, when all of it is kept', () => {
    const sequence = holding([1, 2], { removeTokenCellsFromSequence: () => false });
    expect(sequence.keep(2, undefined)).toBe(2);
  });

  it('shares nothing with another scope, and belongs to the scope it was kept for', () => {
    const sequence = holding([1, 2]);
    expect(sequence.sharedWith([1, 2], 'me')).toBe(0);
    sequence.keep(0, 'me');
    sequence.extend([1, 2]);
    expect(sequence.sharedWith([1, 2], 'me')).toBe(2);
    expect(sequence.sharedWith([1, 2], undefined)).toBe(0);
  });
});
