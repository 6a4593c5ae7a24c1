/**
 * For random schemas: the engine allows every valid value as it is written compactly, and every text that the grammar
 * allows is JSON that a validator of its own, which knows nothing of grammars, finds valid.
 */
import fc from 'fast-check';
import { Compile } from 'typebox/schema';
import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { parseChecked } from '../../../../../src/backends/llama-cpp/grammar/check-grammar.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';
import { GrammarWalker } from '../../../../support/grammar-walker.ts';
import { runs } from '../../../../support/property-runs.ts';
import { schemas } from '../../../../support/schema-arbitrary.ts';

const engine = await grammarEngine();
const numbers = fc.infiniteStream(fc.nat());
const TEXTS = 4;

describe('a random schema', () => {
  it('has a grammar that allows its valid values', async (context) => {
    const reader = engineOrSkip(engine, context);
    const cases = schemas.chain(({ schema, value }) => fc.tuple(fc.constant(schema), value));
    await fc.assert(
      fc.asyncProperty(cases, async ([schema, value]) => {
        const text = JSON.stringify(value);
        expect(Compile(schema as object).Check(value)).toBe(true);
        expect([text, await reader.accepts(usable(schema), text)]).toEqual([text, true]);
      }),
      runs(60),
    );
  });

  it('has a grammar that allows only valid values', async (context) => {
    const reader = engineOrSkip(engine, context);
    await fc.assert(
      fc.asyncProperty(schemas, numbers, async ({ schema }, stream) => {
        const gbnf = usable(schema);
        const walker = new GrammarWalker(parseChecked(gbnf).flat);
        const validator = Compile(schema as object);
        for (let count = 0; count < TEXTS; count++) {
          const text = walker.text((limit) => (stream.next().value as number) % limit);
          expect([text, validator.Check(JSON.parse(text))]).toEqual([text, true]);
          expect([text, await reader.accepts(gbnf, text)]).toEqual([text, true]);
        }
      }),
      runs(40),
    );
  });
});

/** Random branches may read the same text in ever more ways, which is refused; everything else must work. */
function usable(schema: unknown): string {
  try {
    return schemaGrammar(schema).gbnf;
  } catch (thrown) {
    fc.pre(!/ways at once/.test((thrown as Error).message));
    throw thrown;
  }
}
