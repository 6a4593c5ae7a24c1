/** Grammars made to hurt: each is refused soon and with its reason, or becomes one that costs the engine little. */
import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { checkGrammar } from '../../../../../src/backends/llama-cpp/grammar/check-grammar.ts';
import { cpuMs } from '../../../../support/cpu-time.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';
import { HOSTILE_GRAMMARS } from '../../../../support/hostile-grammars.ts';

const engine = await grammarEngine();
/** Of computing: far above what any of these takes. */
const BOUND_MS = 15_000;

describe('a hostile grammar', () => {
  it.for(HOSTILE_GRAMMARS)('of $what is refused, or made harmless', async ({ gbnf, refused }, context) => {
    const start = cpuMs();
    if (refused !== undefined) {
      expect(() => checkGrammar(gbnf)).toThrow(
        expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(refused) }),
      );
    } else {
      const { gbnf: harmless } = checkGrammar(gbnf);
      // The engine takes what is made of it.
      await engineOrSkip(engine, context).accepts(harmless, 'x');
    }
    expect(cpuMs() - start).toBeLessThan(BOUND_MS);
  });

  it('as a pattern is made harmless too', () => {
    const pattern = `^(${Array(60).fill('[a-z ]').join('|')})*$`;
    expect(schemaGrammar({ type: 'string', pattern }).gbnf.length).toBeLessThan(200);
    expect(() => schemaGrammar({ type: 'string', pattern: '^([a-z ]{1,30}){1,30}$' })).toThrow(
      /ways at once/,
    );
  });
});
