import { describe, expect, it } from 'vitest';
import { IdlePrefixes } from '../../../src/scheduling/idle-prefixes.ts';
import { NO_PREFIX } from '../../../src/scheduling/prefix-fingerprint.ts';
import { prefixOf } from '../../support/scheduling.ts';

const [A, B, C] = ['a', 'b', 'c'].map((name) => prefixOf(name, 1)) as [
  ReturnType<typeof prefixOf>,
  ReturnType<typeof prefixOf>,
  ReturnType<typeof prefixOf>,
];

function holding(...prefixes: (typeof A)[]): IdlePrefixes {
  const idle = new IdlePrefixes();
  for (const prefix of prefixes) idle.giveBack(prefix);
  return idle;
}

describe('of the idle slots', () => {
  it('the one that holds the longest beginning of a prompt is its', () => {
    const idle = holding(A, prefixOf('b', 2), B);
    expect(idle.chosenFor(prefixOf('b', 3))).toEqual({ held: prefixOf('b', 2), shared: 2 * 416 });
  });

  it('the least recently used one is for who continues none', () => {
    const idle = holding(A, B);
    expect(idle.chosenFor(C)).toEqual({ held: A, shared: 0 });
    idle.take(C);
    expect(idle.chosenFor(C).held).toBe(B);
  });

  it('one that held nothing is taken before one that holds something', () => {
    const idle = new IdlePrefixes();
    idle.fit(2);
    idle.take(A);
    idle.giveBack(A);
    expect(idle.chosenFor(B).held).toBe(NO_PREFIX);
    expect(idle.chosenFor(prefixOf('a', 2)).held).toBe(A);
  });

  it('no more are remembered than there are', () => {
    const idle = holding(A, B, C);
    idle.fit(2);
    expect(idle.chosenFor(prefixOf('a', 2))).toEqual({ held: B, shared: 0 });
    idle.fit(0);
    expect(idle.chosenFor(B)).toEqual({ held: NO_PREFIX, shared: 0 });
  });
});
