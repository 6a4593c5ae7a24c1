import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CustomInputReader,
  customInputOf,
} from '../../../../../src/protocols/openai/responses/custom-input.ts';

function piecesOf(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, at) =>
    text.slice(at * length, (at + 1) * length),
  );
}

describe('the input of a custom tool', () => {
  it('is read as it comes, and never ends in half a character', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        (text, length, ascii) => {
          const json = JSON.stringify({ input: text });
          const written = ascii
            ? json.replace(
                /[\u0080-\uffff]/g,
                (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
              )
            : json;
          const input = new CustomInputReader();
          const given = ascii ? piecesOf(written, length) : [...written];
          const told = [...given.map((piece) => input.add(piece)), input.end()];
          expect(told.join('')).toBe(text);
          expect(input.text).toBe(text);
          for (const piece of told) expect(piece.isWellFormed?.() ?? true).toBe(true);
        },
      ),
    );
  });

  it('comes before the call is whole', () => {
    const input = new CustomInputReader();
    expect(['{ "in', 'put" : "a\\', 'nb', '\\ud83d', '\\ude00c'].map((piece) => input.add(piece))).toEqual([
      '',
      'a',
      '\nb',
      '',
      '\u{1f600}c',
    ]);
    expect(input.end()).toBe('');
  });

  it.each([
    ['{"patch":"a"}', 'a'],
    ['{"input":"a","more":1}', 'a'],
    ['{"a":"b","c":"d"}', '{"a":"b","c":"d"}'],
    ['no JSON', 'no JSON'],
    ['"text"', '"text"'],
    ['{}', ''],
    ['', ''],
    ['{"input":"cut o', 'cut o'],
  ])('is what there is of %j', (text, input) => {
    expect(customInputOf(text)).toBe(input);
  });
});
