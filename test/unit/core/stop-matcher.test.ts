import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopMatcher } from '../../../src/core/stop-matcher.ts';

function run(stops: readonly string[], pieces: readonly string[]) {
  const matcher = new StopMatcher(stops);
  const shown: string[] = [];
  for (const piece of pieces) {
    const { text, matched } = matcher.push(piece);
    shown.push(text);
    if (matched !== undefined) return { shown, text: shown.join(''), matched };
  }
  shown.push(matcher.flush());
  return { shown, text: shown.join(''), matched: undefined };
}

describe('StopMatcher', () => {
  it('passes text through untouched when there are no stop strings', () => {
    expect(run([], ['a', 'b']).shown).toEqual(['a', 'b', '']);
  });

  it('ends before a stop string that lies across pieces', () => {
    expect(run(['END'], ['one E', 'N', 'D two'])).toMatchObject({ text: 'one ', matched: 'END' });
  });

  it('holds text back only as long as it can still become a stop string', () => {
    expect(run(['END'], ['aE', 'Nb', 'c']).shown).toEqual(['a', 'ENb', 'c', '']);
  });

  it('shows at the end what was held back', () => {
    expect(run(['END'], ['aEN'])).toMatchObject({ text: 'aEN', matched: undefined });
  });

  it('finds a stop string that begins within a false start', () => {
    expect(run(['aab'], ['a', 'a', 'a', 'b'])).toMatchObject({ text: 'a', matched: 'aab' });
  });

  it('takes the stop string that is complete first, and the longest of those complete together', () => {
    expect(run(['abcd', 'bc'], ['abcd'])).toMatchObject({ text: 'a', matched: 'bc' });
    expect(run(['c', 'bc'], ['abcd'])).toMatchObject({ text: 'a', matched: 'bc' });
  });

  it('cuts at the same place however the text is split', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 24 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(letters, stops, fc.array(fc.nat({ max: 23 })), (text, stopStrings, cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), text.length].map((cut) => Math.min(cut, text.length));
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
        const whole = run(stopStrings, [...text]);
        const split = run(stopStrings, pieces);
        expect({ text: split.text, matched: split.matched }).toEqual({
          text: whole.text,
          matched: whole.matched,
        });
        for (const stop of stopStrings) expect(split.text.includes(stop)).toBe(false);
      }),
    );
  });
});
