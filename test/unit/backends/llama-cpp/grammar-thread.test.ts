/** The real thread: what it makes, what it refuses, and that the event loop has other things to do meanwhile. */
import { afterAll, expect, it } from 'vitest';
import { GrammarCompiler } from '../../../../src/backends/llama-cpp/grammar-compiler.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { never } from '../../../support/embedded-engine.ts';
import { HOSTILE_GRAMMARS } from '../../../support/hostile-grammars.ts';

const compiler = new GrammarCompiler({ clock: systemClock });
afterAll(() => compiler.close());

const ofSchema = (schema: unknown) => ({ output: { kind: 'json-schema', schema } }) as const;
/** 2 KB whose choices would be written out a million times. */
const multiplying = (name: string) =>
  ofSchema({
    allOf: Array.from({ length: 20 }, (_, index) => ({
      anyOf: [{ required: [`${name}a${index}`] }, { required: [`${name}b${index}`] }],
    })),
  });
/** Much, but no more than people may have. */
const large = (name: string) => {
  const names = Array.from({ length: 300 }, (_, index) => `${name}_property_${index}`);
  const properties = Object.fromEntries(names.map((each) => [each, { type: 'string' }]));
  return ofSchema({ type: 'object', properties, required: names });
};

it('makes a grammar', async () => {
  expect(await compiler.compile(ofSchema({ const: 'yes' }), never())).toContain('yes');
});

it('refuses with code, message and place', async () => {
  await expect(compiler.compile(multiplying('x'), never())).rejects.toMatchObject({
    name: 'ServingError',
    code: 'invalid_request',
    param: 'format',
    message: expect.stringContaining('multiplies'),
  });
});

it('leaves the event loop to others, whatever it is given', { retry: 3 }, async () => {
  const before = performance.eventLoopUtilization();
  const given = [
    ...['a', 'b', 'c'].map((name) => multiplying(`${name}${before.active}`)),
    large(`p${before.active}`),
    ...HOSTILE_GRAMMARS.map(({ gbnf }) => ({ output: { kind: 'grammar', grammar: gbnf } }) as const),
  ];
  await Promise.allSettled(given.map((constraint) => compiler.compile(constraint, never())));
  // Compiled here, these would take all of it.
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.3);
});
