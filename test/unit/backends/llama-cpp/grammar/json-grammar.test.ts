/** JSON mode, as the engine itself reads the grammar. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { parseChecked } from '../../../../../src/backends/llama-cpp/grammar/check-grammar.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';
import { GrammarWalker } from '../../../../support/grammar-walker.ts';
import { runs } from '../../../../support/property-runs.ts';

const engine = await grammarEngine();
const { gbnf } = answerGrammar({ output: { kind: 'json' } });

const VALID = [
  '{}',
  '{ }',
  '{"a":1}',
  '{"a": [1, -2.5e3, 0, 1E+2], "b": {"c": {}}}',
  '{"a":"x\\n\\u00e9\\"\\\\\\/"}',
  '{"a":"é😀\u007f"}',
  '{"":null,"b":true,"c":false}',
  '{\n  "a": 1,\n  "b": [\n    2\n  ]\n}',
  '{\n\t"a": 1\n}',
];
const INVALID = [
  '',
  '[]',
  '1',
  ' {}',
  '{} ',
  '{"a":1,}',
  '{a:1}',
  "{'a':1}",
  '{"a":01}',
  '{"a":+1}',
  '{"a":1.}',
  '{"a":.5}',
  '{"a":NaN}',
  '{"a":"\n"}',
  '{"a":"\t"}',
  '{"a":"\\x"}',
  '{"a":"\\ud800"}',
  '{"a":  1}',
  '{\n\n"a": 1}',
  `{\n${' '.repeat(21)}"a":1}`,
  '{"a" :1}',
  `{"a":${'1'.repeat(17)}}`,
  '{"a":1e999}',
  '{"a":1}{"b":2}',
];

describe('JSON mode', () => {
  it.for(VALID)('allows %j', async (text, context) => {
    expect(() => JSON.parse(text)).not.toThrow();
    expect(await engineOrSkip(engine, context).accepts(gbnf, text)).toBe(true);
  });

  it.for(INVALID)('does not allow %j', async (text, context) => {
    expect(await engineOrSkip(engine, context).accepts(gbnf, text)).toBe(false);
  });

  it('allows whatever object is written compactly', async (context) => {
    const reader = engineOrSkip(engine, context);
    const values = fc.dictionary(fc.string({ unit: 'binary' }), jsonValue());
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        expect(await reader.accepts(gbnf, JSON.stringify(value))).toBe(true);
      }),
      runs(150),
    );
  });

  it('allows nothing but objects', async (context) => {
    const reader = engineOrSkip(engine, context);
    const walker = new GrammarWalker(parseChecked(gbnf).flat);
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat()), async (numbers) => {
        const text = walker.text((limit) => (numbers.next().value as number) % limit);
        const value = JSON.parse(text);
        expect(typeof value === 'object' && value !== null && !Array.isArray(value)).toBe(true);
        expect(await reader.accepts(gbnf, text)).toBe(true);
      }),
      runs(150),
    );
  });
});

function jsonValue() {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(null, true, false),
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc
        .double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 })
        .map((number) => Number(number.toFixed(9))),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }),
    ),
  }));
  return value;
}
