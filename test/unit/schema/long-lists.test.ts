import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { compileCheck, describeViolation } from '../../../src/schema/violation.ts';
import { cpuMs } from '../../support/cpu-time.ts';

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
