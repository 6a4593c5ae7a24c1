import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { compileCheck, describeViolation, showValue } from '../../../src/schema/violation.ts';
import { cpuMs } from '../../support/cpu-time.ts';

describe('long lists', () => {
  const Body = Type.Object({
    names: Type.Optional(Type.Array(Type.Object({ name: Type.String() }), { maxItems: 2000 })),
    prompt: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Array(Type.Integer())])),
  });
  const check = compileCheck(Body);

  function faultOf(body: unknown): string {
    const checked = check(body);
    return 'violation' in checked ? describeViolation(checked.violation, 'The body') : 'none';
  }

  const many = (count: number, entry: unknown): unknown[] => Array.from({ length: count }, () => entry);

  describe('of a long list', () => {
    it('the first wrong entry is named by its place', () => {
      const names = [...many(1500, { name: 'a' }), { name: 5 }, ...many(10, 1)];
      expect(faultOf({ names })).toBe('names[1500].name is 5, but must be a string.');
    });

    it('with too many right entries the number is said', () => {
      expect(faultOf({ names: many(2001, { name: 'a' }) })).toMatch(/^names is .* at most 2000 entries/);
    });

    it('that fits none of several forms all is named', () => {
      expect(faultOf({ prompt: [...many(500, 'a'), 1] })).toMatch(
        /^prompt is .* a list, each a string or a list/,
      );
    });

    it('a million wrong entries are found out as fast as one', () => {
      const names = many(1_000_000, 1);
      const startedAt = cpuMs();
      expect(faultOf({ names })).toMatch(/^names\[0\] is 1/);
      expect(faultOf(names)).toMatch(/^The body is/);
      expect(cpuMs() - startedAt).toBeLessThan(1000);
    });
  });
});

describe('shown values', () => {
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
});
