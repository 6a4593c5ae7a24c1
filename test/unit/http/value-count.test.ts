import { expect, it } from 'vitest';
import { commasOutsideStrings } from '../../../src/http/value-count.ts';

it.each([
  ['', 0],
  ['[1,2,3]', 2],
  ['{"a":1,"b":[2,{"c":3,"d":4}]}', 3],
  ['"a,b,c"', 0],
  ['["\\",",1]', 1],
  ['["\\\\",1,2]', 2],
  ['["a', 0],
])('%s has %i commas outside of its strings', (json, commas) => {
  expect(commasOutsideStrings(Buffer.from(json))).toBe(commas);
});
