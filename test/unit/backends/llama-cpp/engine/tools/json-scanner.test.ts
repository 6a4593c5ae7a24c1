import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonScanner } from '../../../../../../src/backends/llama-cpp/engine/tools/json-scanner.ts';

/** How many characters it takes, and whether the text is complete then. */
function scan(text: string) {
  const scanner = new JsonScanner();
  let taken = 0;
  while (taken < text.length && scanner.accept(text.charAt(taken))) taken += 1;
  return { taken, complete: scanner.complete };
}

describe('JsonScanner', () => {
  it('takes every object and list, however it is laid out', () => {
    const values = fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue()));
    fc.assert(
      fc.property(values, fc.constantFrom(undefined, 2, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(scan(text)).toEqual({ taken: text.length, complete: true });
      }),
    );
  });

  it('takes what JSON.parse takes, and nothing else', () => {
    const unit = fc.constantFrom(
      ...'{}[]:,"\\01-+.eEtn a/u',
      'true',
      'null',
      'false',
      '"a"',
      '{"a":',
      '\\u12aF',
    );
    fc.assert(
      fc.property(
        fc.array(unit, { maxLength: 14 }),
        fc.constantFrom('{', '[', '{"a":[', '[-'),
        (units, start) => {
          const text = start + units.join('');
          const { taken, complete } = scan(text);
          expect(complete && text.slice(taken).trim() === '').toBe(isJson(text));
          if (complete) expect(isJson(text.slice(0, taken))).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['{"a":01}', 6],
    ['{"a":-}', 6],
    ['{"a":- 1}', 6],
    ['{"a":1.}', 7],
    ['[1,]', 3],
    ['{"a":1,}', 7],
    ['{]', 1],
    ['{"a" 1}', 5],
    ['[tru ]', 4],
    ['"a"', 0],
    ['[] ', 2],
  ])('stops in %s at the first character that cannot stand there', (text, taken) => {
    expect(scan(text).taken).toBe(taken);
  });

  it('bounds how deep brackets go and how long a number is', () => {
    expect(scan('['.repeat(1000)).taken).toBe(128);
    expect(scan(`[${'1'.repeat(1000)}`).taken).toBe(65);
  });

  it('forgives control characters in strings, not between them', () => {
    expect(scan('{"a":"b\n\u0001"}').complete).toBe(true);
    expect(scan('{\u0001').taken).toBe(1);
  });
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
