import { describe, expect, it } from 'vitest';
import { toServingError } from '../../../src/core/errors.ts';
import { MalformedEvents } from '../../../src/upstream/malformed-events.ts';

function events(): { readonly malformed: MalformedEvents; readonly count: () => number } {
  let count = 0;
  const malformed = new MalformedEvents(() => {
    count += 1;
  });
  return { malformed, count: () => count };
}

function failureOf(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (thrown) {
    return toServingError(thrown).failure;
  }
}

const WITHIN = { isComplete: false };

describe('an event that cannot be read', () => {
  it.each(['ping', 'keep-alive', '', 'OK 200', 'läuft', '17', 'null', '[]'])(
    'is skipped where it cannot have held a part of the answer: %j',
    (data) => {
      const { malformed, count } = events();
      expect(failureOf(() => malformed.skip(data, WITHIN))).toBeUndefined();
      expect(count()).toBe(1);
    },
  );

  it.each([
    '{"choices":[{"delta":{"content":"he',
    'ent":"lo"}}]}',
    '"lo"',
    '}]}',
    'x'.repeat(65),
    'a\u0000b',
    '\ufffd\u{1f}\u{8b}',
  ])('breaks the answer where it may have held a part of it: %j', (data) => {
    const { malformed, count } = events();
    expect(failureOf(() => malformed.skip(data, WITHIN))).toBe('garbage');
    expect(count()).toBe(1);
  });

  it('is skipped whatever it is once the answer is complete', () => {
    const { malformed } = events();
    for (let times = 0; times < 9; times += 1) malformed.skip('{"usage":', { isComplete: true });
  });

  it('breaks the answer as the third in a row; one that could be read begins another row', () => {
    const { malformed } = events();
    malformed.skip('ping', WITHIN);
    malformed.skip('ping', WITHIN);
    malformed.readable();
    malformed.skip('ping', WITHIN);
    malformed.skip('ping', WITHIN);
    expect(failureOf(() => malformed.skip('ping', WITHIN))).toBe('garbage');
  });
});
