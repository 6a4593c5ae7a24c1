import { describe, expect, it } from 'vitest';
import { showValue } from '../../../src/schema/violation.ts';

describe('a value in an error', () => {
  it.each([
    [undefined, 'not given'],
    [null, 'null'],
    [1.5, '1.5'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    ['a"b', '"a\\"b"'],
    [[], '[]'],
    [{}, '{}'],
    [[1, 'a', [true, null]], '[1,"a",[true,null]]'],
    [{ a: { b: [] }, c: 1 }, '{"a":{"b":[]},"c":1}'],
    ['x'.repeat(100), `"${'x'.repeat(59)}…`],
  ])('%j is shown as JSON, cut at 60 characters', (value, shown) => {
    expect(showValue(value)).toBe(shown);
  });

  it.each([
    ['a long list', () => Array.from({ length: 1000 }, (_, at) => at)],
    [
      'an object of many keys',
      () => Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`k${at}`, at])),
    ],
    ['lists in lists', () => Array.from({ length: 100 }, () => [[1, 2], [3]])],
  ])('%s is shown by its beginning', (_, make) => {
    expect(showValue(make())).toBe(`${JSON.stringify(make()).slice(0, 60)}…`);
  });

  it('is not looked at beyond what is shown', () => {
    let looks = 0;
    const list = new Proxy(Array<number>(100_000).fill(1), {
      get: (target, name) => {
        looks += 1;
        return Reflect.get(target, name, target);
      },
    });
    expect(showValue(list)).toMatch(/^\[1,1,1.*…$/);
    expect(looks).toBeLessThan(200);
  });
});
