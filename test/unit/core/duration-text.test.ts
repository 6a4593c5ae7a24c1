import { expect, it } from 'vitest';
import { durationText } from '../../../src/core/duration-text.ts';

it.each([
  [-3, '0 ms'],
  [0, '0 ms'],
  [0.04, '0 ms'],
  [1.66, '1.7 ms'],
  [9.94, '9.9 ms'],
  [9.95, '10 ms'],
  [96.2, '96 ms'],
  [999.4, '999 ms'],
  [999.5, '1.00 s'],
  [1250, '1.25 s'],
  [9994, '9.99 s'],
  [9995, '10.0 s'],
  [59_949, '59.9 s'],
  [59_950, '1 min'],
  [125_000, '2 min 5 s'],
  [3_599_400, '59 min 59 s'],
  [3_599_500, '1 h'],
  [12_000_000, '3 h 20 min'],
])('%d milliseconds are %s', (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text);
});
