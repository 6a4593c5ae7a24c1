import { describe, expect, it } from 'vitest';
import type { NativeContext } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { Sampler } from '../../../../../src/backends/llama-cpp/engine/sampler.ts';
import {
  type CacheScope,
  Sequence,
  SequencePool,
} from '../../../../../src/backends/llama-cpp/engine/sequences.ts';
import { fakeContext } from '../../../../support/fake-context.ts';

describe('sequence pool', () => {
  let lastId = 0;
  /** No neighbours. */
  function nextId(): number {
    lastId += 2;
    return lastId;
  }

  function sequence(held: readonly number[], scope?: CacheScope, id = nextId()): Sequence {
    const made = new Sequence(id, fakeContext(), new Sampler({ applyConfig() {} }, []));
    made.keep(0, scope);
    made.extend(held);
    return made;
  }

  const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);

  describe('SequencePool', () => {
    it('lends the sequence that shares the longest beginning with the prompt', () => {
      const [a, b, c] = [sequence([1, 2]), sequence([1, 2, 3]), sequence([])];
      expect(new SequencePool([a, b, c], 2048).take([1, 2, 3, 4], undefined)).toEqual({ sequence: b });
    });

    it('lends the least recently used of those that share as much', () => {
      const [a, b] = [sequence([1]), sequence([1])];
      const pool = new SequencePool([a, b], 2048);
      expect(pool.take([1], undefined)?.sequence).toBe(a);
      pool.giveBack(a);
      expect(pool.take([1], undefined)?.sequence).toBe(b);
    });

    it('lends each sequence to one generation at a time', () => {
      const pool = new SequencePool([sequence([])], 2048);
      expect(pool.take([1], undefined)).toBeDefined();
      expect(pool.hasIdle).toBe(false);
      expect(pool.take([1], undefined)).toBeUndefined();
    });

    it('is used by what those hold that are lent, of all that all may hold', () => {
      const [running, idle] = [sequence(upTo(512)), sequence(upTo(1000))];
      const pool = new SequencePool([running, idle], 2048);
      expect(pool.used).toBe(0);
      pool.take(upTo(512), undefined);
      expect(pool.used).toBe(512 / 4096);
      running.extend(upTo(512, 512));
      expect(pool.used).toBe(1024 / 4096);
      pool.giveBack(running);
      expect(pool.used).toBe(0);
    });

    it('copies a long beginning from a sequence that runs', () => {
      const [running, idle] = [sequence(upTo(100)), sequence([])];
      const pool = new SequencePool([running, idle], 2048);
      expect(pool.take(upTo(100), undefined)).toEqual({ sequence: running });
      expect(pool.take([...upTo(90), 500], undefined)).toEqual({ sequence: idle, donor: running });
    });

    it('evaluates a short beginning rather than copying it', () => {
      const [running, idle] = [sequence(upTo(100)), sequence([])];
      const pool = new SequencePool([running, idle], 2048);
      pool.take(upTo(100), undefined);
      expect(pool.take([...upTo(20), 500], undefined)).toEqual({ sequence: idle });
    });

    it('does not give up a long conversation for the few words that another begins alike', () => {
      const [conversation, old] = [sequence(upTo(1000)), sequence(upTo(50, 5000))];
      const pool = new SequencePool([conversation, old], 2048);
      expect(pool.take([...upTo(100), 9000], undefined)).toEqual({ sequence: old, donor: conversation });
    });

    it('overwrites one beside those that run: neighbours are computed together', () => {
      const all = Array.from({ length: 6 }, (_, id) => sequence([], undefined, id));
      const pool = new SequencePool(all, 2048);
      const next = () => pool.take([1], undefined)?.sequence as Sequence;
      const [first, second, third] = [next(), next(), next()];
      expect([first.id, second.id, third.id]).toEqual([0, 1, 2]);
      // Now the least recently used are 3, 4, 5, 0.
      pool.giveBack(first);
      pool.giveBack(third);
      expect(next().id).toBe(0);
      expect(next().id).toBe(2);
    });

    it('uses nothing of another scope, neither by taking nor by copying', () => {
      const [mine, yours] = [sequence(upTo(100), 'me'), sequence(upTo(80), 'you')];
      const pool = new SequencePool([mine, yours], 2048);
      expect(pool.take(upTo(100), 'you')).toEqual({ sequence: yours });
      const taken = pool.take(upTo(100), 'a third');
      expect(taken).toEqual({ sequence: mine });
      expect(mine.sharedWith(upTo(100), 'a third')).toBe(0);
    });
  });
});

describe('sequence', () => {
  function holding(tokens: readonly number[], context: Partial<NativeContext> = {}): Sequence {
    const sequence = new Sequence(0, { ...fakeContext(), ...context }, new Sampler({ applyConfig() {} }, []));
    sequence.keep(0, undefined);
    sequence.extend(tokens);
    return sequence;
  }

  describe('a sequence', () => {
    it('keeps a prefix of a given length', () => {
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
});
