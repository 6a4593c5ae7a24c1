/** Schemas made to hurt: each is refused soon and clearly, or works soon, in the engine too. */
import { describe, expect, it } from 'vitest';
import { schemaGrammar } from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { cpuMs } from '../../../../support/cpu-time.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';

const engine = await grammarEngine();
/** Of computing: far above what any of these takes. */
const BOUND_MS = 15_000;

const named = (count: number, value: (index: number) => unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, value(index)]));
const names = (count: number) => Array.from({ length: count }, (_, index) => `p${index}`);
/** Definitions p0, p1, … of which each is made from the next; the last is a string. */
const chain = (count: number, from: (next: object) => unknown) => ({
  $ref: '#/$defs/p0',
  $defs: named(count, (index) =>
    index === count - 1 ? { type: 'string' } : from({ $ref: `#/$defs/p${index + 1}` }),
  ),
});
const nested = (depth: number, around: (inner: unknown) => unknown) => {
  let schema: unknown = { type: 'string' };
  for (let level = 0; level < depth; level++) schema = around(schema);
  return schema;
};
const brackets = (depth: number) => JSON.parse(`{"const":${'['.repeat(depth)}${']'.repeat(depth)}}`);

const REFUSED: readonly (readonly [what: string, make: () => unknown, message: RegExp])[] = [
  ['ten thousand properties', () => ({ properties: named(10_000, () => true) }), /10000 names. At most 500/],
  [
    'many properties that may be left out',
    () => ({ properties: named(300, () => true) }),
    /more than 200 optional properties in a row/,
  ],
  ['a name of a megabyte', () => ({ properties: { ['a'.repeat(1e6)]: true } }), /more than 256 characters/],
  [
    'deep schemas',
    () => nested(5000, (inner) => ({ type: 'array', items: inner })),
    /nested more than 128 deep/,
  ],
  ['deep allOf', () => nested(5000, (inner) => ({ allOf: [inner] })), /more than 32 references and allOfs/],
  [
    'deep anyOf',
    () => nested(5000, (inner) => ({ anyOf: [inner, { type: 'null' }] })),
    /more than 64 schemas/,
  ],
  ['a deep constant', () => brackets(50_000), /nested too deep/],
  ['a long chain of references', () => chain(10_000, (next) => next), /more than 32 references/],
  [
    'a long chain of objects',
    () => chain(10_000, (next) => ({ properties: { next } })),
    /nested more than 128 deep/,
  ],
  [
    'alternatives that double with each array',
    () =>
      chain(60, (next) => ({
        anyOf: [
          { type: 'array', items: next },
          { type: 'array', items: next, minItems: 1 },
        ],
      })),
    /ways at once/,
  ],
  [
    'recursion that doubles',
    () => ({
      anyOf: [
        { type: 'array', items: { $ref: '#' } },
        { type: 'array', items: { $ref: '#' }, minItems: 1 },
        { type: 'null' },
      ],
    }),
    /ways at once/,
  ],
  [
    'choices that multiply',
    () => ({
      allOf: Array.from({ length: 8 }, (_, first) => ({
        anyOf: Array.from({ length: 8 }, (_, second) => ({
          type: 'object',
          properties: { [`p${first}`]: { const: second } },
        })),
      })),
    }),
    /too many ways/,
  ],
  [
    'choices side by side',
    () => ({
      allOf: Array.from({ length: 20 }, (_, index) => ({
        anyOf: [
          { properties: { [`a${index}`]: { type: 'string' } } },
          { properties: { [`b${index}`]: { type: 'number' } } },
        ],
      })),
    }),
    /too many ways/,
  ],
  [
    'many branches',
    () => ({ anyOf: Array.from({ length: 1000 }, (_, index) => ({ const: index })) }),
    /1000 branches. At most 64/,
  ],
  [
    'a large enum',
    () => ({ enum: Array.from({ length: 5000 }, (_, index) => index) }),
    /5000 values. At most 1000/,
  ],
  [
    'a long enum',
    () => ({ enum: Array.from({ length: 500 }, (_, index) => `${index}`.repeat(100)) }),
    /characters. At most 65536/,
  ],
  [
    'many long strings',
    () => ({ properties: named(90, (index) => ({ type: 'string', maxLength: 1000 + index })) }),
    /more than 50000 rules/,
  ],
  ['a large minItems', () => ({ type: 'array', minItems: 1e9 }), /At most 1998/],
  ['a large maxProperties', () => ({ type: 'object', maxProperties: 1e9 }), /At most 1998/],
  [
    'a slow regular expression that repeats nothing',
    () => ({ type: 'string', pattern: '^((a?)+)+$' }),
    /can be empty/,
  ],
  ['a long pattern', () => ({ type: 'string', pattern: `^${'a'.repeat(1000)}$` }), /At most 512/],
  [
    'a pattern with deep groups',
    () => ({ type: 'string', pattern: `^${'('.repeat(100)}a${')'.repeat(100)}$` }),
    /nested more than 16/,
  ],
  [
    'large objects in choices that multiply',
    () => ({
      type: 'object',
      properties: named(500, () => true),
      allOf: Array.from({ length: 3 }, (_, first) => ({
        anyOf: Array.from({ length: 8 }, (_, second) => ({ required: [`p${first * 8 + second}`] })),
      })),
    }),
    /characters|in a row/,
  ],
  [
    'branches that only the last property tells apart',
    () => ({
      oneOf: Array.from({ length: 64 }, (_, branch) => ({
        type: 'object',
        required: names(300),
        properties: named(300, (index) =>
          index === 299
            ? { const: branch }
            : { type: 'object', required: names(100), properties: named(100, () => true) },
        ),
      })),
    }),
    /too many/,
  ],
  ['unknown keywords of a megabyte', () => ({ ['x'.repeat(1e6)]: 1 }), /not supported/],
];

const WORKING: readonly (readonly [what: string, make: () => unknown, valid: string])[] = [
  [
    'five hundred required properties',
    () => ({ properties: named(500, () => ({ type: 'null' })), required: names(500) }),
    JSON.stringify(named(500, () => null)),
  ],
  [
    'two hundred properties that may be left out',
    () => ({ properties: named(200, () => ({ type: 'null' })) }),
    '{"p0":null,"p100":null,"p199":null}',
  ],
  [
    'five hundred properties and any others',
    () => ({
      properties: named(500, () => ({ type: 'null' })),
      required: names(500),
      additionalProperties: true,
    }),
    JSON.stringify({ ...named(500, () => null), other: 1 }),
  ],
  [
    'a value that doubles with each definition',
    () => chain(60, (next) => ({ properties: { left: next, right: next } })),
    '{"left":{"right":{}}}',
  ],
  [
    'arrays a hundred deep',
    () => nested(100, (inner) => ({ type: 'array', items: inner })),
    `${'['.repeat(100)}${']'.repeat(100)}`,
  ],
  [
    'a thousand words',
    () => ({ enum: Array.from({ length: 1000 }, (_, index) => `word ${index}`) }),
    '"word 999"',
  ],
  ['the longest string', () => ({ type: 'string', maxLength: 1998 }), `"${'a'.repeat(1998)}"`],
  [
    'the longest array',
    () => ({ type: 'array', items: { type: 'null' }, minItems: 1998 }),
    JSON.stringify(Array(1998).fill(null)),
  ],
  [
    'names that objects have anyway',
    () =>
      JSON.parse(
        '{"properties":{"__proto__":{"type":"null"},"constructor":{"type":"null"},"toString":{"type":"null"}},"required":["__proto__"]}',
      ),
    '{"__proto__":null,"toString":null}',
  ],
  [
    'counts within counts',
    () => ({ type: 'string', pattern: '^(((a{2}){3}){4}b?){1,99}$' }),
    `"${'a'.repeat(24)}"`,
  ],
  [
    'the same schema many times',
    () => ({ properties: named(200, () => ({ type: 'string', maxLength: 255 })), required: names(200) }),
    JSON.stringify(named(200, () => 'x')),
  ],
];

describe('a hostile schema', () => {
  it.each(REFUSED)('with %s is refused', (_, make, message) => {
    const schema = make();
    const start = cpuMs();
    expect(() => schemaGrammar(schema)).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(message) }),
    );
    expect(cpuMs() - start).toBeLessThan(BOUND_MS);
  });

  it.for(WORKING)('with %s works', async ([_, make, valid], context) => {
    const schema = make();
    const start = cpuMs();
    const { gbnf } = schemaGrammar(schema);
    expect(await engineOrSkip(engine, context).accepts(gbnf, valid)).toBe(true);
    expect(cpuMs() - start).toBeLessThan(BOUND_MS);
  });

  it('is told so in a message of bounded length', () => {
    const schema = nested(500, (inner) => ({ type: 'array', items: inner }));
    const thrown = attempt(() => schemaGrammar({ properties: { ['a'.repeat(255)]: { items: schema } } }));
    expect(thrown?.message.length).toBeLessThan(1000);
    expect(String((thrown as { param?: string }).param).length).toBeLessThan(250);
  });
});

function attempt(run: () => unknown): Error | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    return thrown as Error;
  }
}
