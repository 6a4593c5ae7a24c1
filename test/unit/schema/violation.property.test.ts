import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { expect, it } from 'vitest';
import { PROTOCOLS } from '../../../src/protocols/catalog.ts';
import { compileCheck } from '../../../src/schema/violation.ts';
import { nearMisses } from '../../support/near-misses.ts';
import { runs } from '../../support/property-runs.ts';

const bodies = PROTOCOLS.flatMap(({ routes }) =>
  routes.flatMap(({ method, path, describes: { body } }) =>
    body === undefined ? [] : [{ route: `${method} ${path}`, ...body }],
  ),
);

/** `messages[0].role`; names that look like paths themselves are not followed. */
function valueAt(body: unknown, path: string): unknown {
  const segments = path === '' ? [] : path.split(/\.|(?=\[)/);
  return segments.reduce<unknown>((value, segment) => {
    const key = segment.replace(/^\[(\d+)\]$/, '$1');
    return Object.hasOwn(Object(value), key) ? (value as Record<string, unknown>)[key] : undefined;
  }, body);
}

it.each(bodies)('the value that is named wrong stands where it is named: $route', ({ schema, examples }) => {
  const check = compileCheck(schema);
  const validator = Compile(schema);
  const nearly = nearMisses(fc.constantFrom(...Object.values(examples)));
  fc.assert(
    fc.property(nearly, (text) => {
      const body = readJson(text);
      const checked = check(body);
      expect('value' in checked).toBe(validator.Check(body));
      if ('value' in checked) return;
      const { kind, path, value, rule } = checked.violation;
      expect(rule).not.toBe('');
      if (kind === 'wrong') expect(valueAt(body, path)).toEqual(value);
      if (kind === 'missing') expect(valueAt(body, path)).toBeUndefined();
    }),
    runs(100),
  );
});

/** Near misses hold numbers that are no JSON. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
