/** Lengths of time, counts and rates as the page writes them. */
import { describe, expect, it } from 'vitest';
import { duration, number, percent, plural, tokenRate, tokensPerSecond } from '../../../../web/ui/amounts.ts';

describe('figures', () => {
  it.each([
    [0, '0 ms'],
    [3.24, '3.2 ms'],
    [999, '999 ms'],
    [999.7, '1.00 s'],
    [1_240, '1.24 s'],
    [12_340, '12.3 s'],
    [61_000, '61 s'],
    [185_000, '3 min 5 s'],
    [-4, '0 ms'],
    [null, '–'],
  ])('%s ms is read as %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [0, '0'],
    [3, '3'],
    [1.234, '1.23'],
    [45.67, '45.7'],
    [1234.5, '1,235'],
    [1234567, '1,234,567'],
    [null, '–'],
  ])('%s is read as %s', (value, text) => expect(number(value)).toBe(text));

  it('what is not all is not shown as 100 %', () => {
    expect(percent(9_999, 10_000)).toBe('99.9\u202f%');
    expect(percent(10, 10)).toBe('100\u202f%');
    expect(percent(0, 0)).toBe('–');
  });

  it('one is singular', () => expect([plural(1, 'slot'), plural(2, 'slot')]).toEqual(['1 slot', '2 slots']));

  it.each([
    [101, 1_000, '100 tokens/s'],
    [9, 2_000, '4 tokens/s'],
    [2, 80, '12.5 tokens/s'],
    [1, 80, undefined],
    [10, 0, undefined],
    [null, 80, undefined],
    [10, undefined, undefined],
  ])('%s tokens, generated in %s ms, are %s: the first one does not count', (tokens, ms, text) => {
    const rate = tokensPerSecond(tokens, ms);
    expect(rate === undefined ? undefined : tokenRate(rate)).toBe(text);
  });
});
