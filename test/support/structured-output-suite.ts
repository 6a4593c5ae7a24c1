/** Structured output of the real model at temperature 1: every answer is valid, but for those cut off. */

import Schema from 'typebox/schema';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/core/backend.ts';
import type { OutputFormat } from '../../src/core/generation.ts';
import { embeddedEngine, never, read, requestFor } from './embedded-engine.ts';
import { pulled } from './pulled-generation.ts';

const TIME_FOR_EACH_MS = 30_000;

const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 20 },
    age: { type: 'integer', minimum: 0, maximum: 120 },
    married: { type: 'boolean' },
    hobbies: { type: 'array', items: { enum: ['chess', 'music', 'sport'] }, maxItems: 3 },
    address: { $ref: '#/$defs/address' },
  },
  required: ['name', 'age', 'hobbies'],
  additionalProperties: false,
  $defs: {
    address: {
      type: 'object',
      properties: {
        street: { type: 'string', maxLength: 16 },
        zip: { type: 'string', pattern: '^[0-9]{5}$' },
      },
      required: ['zip'],
      additionalProperties: false,
    },
  },
} as const;

interface Constraint {
  readonly name: string;
  readonly output: OutputFormat;
  /** Enough for most. */
  readonly maxTokens: number;
  readonly isValid: (text: string) => boolean;
}

const CONSTRAINTS: readonly Constraint[] = [
  {
    name: 'a JSON schema',
    output: { kind: 'json-schema', schema: PERSON },
    maxTokens: 96,
    isValid: isPerson,
  },
  { name: 'JSON mode', output: { kind: 'json' }, maxTokens: 160, isValid: isObject },
  {
    name: 'a grammar',
    output: { kind: 'grammar', grammar: 'root ::= ("yes" | "no") " " [1-9] [0-9]? "%"' },
    maxTokens: 16,
    isValid: (text) => /^(yes|no) [1-9][0-9]?%$/.test(text),
  },
];

/** Registers the tests: so many answers for each constraint. */
export function describeStructuredOutput({ answers }: { readonly answers: number }): void {
  // All that a short run asks for at once: none waits for another's end.
  const { backend } = embeddedEngine({ slots: Math.min(answers, 20), context_size: 256 });
  beforeAll(() => backend.warmUp({ signal: never() }));
  describe('structured output', () => {
    it.each(CONSTRAINTS)(
      'is valid every time: $name',
      async (constraint) => {
        const whole = await expectAllValid(backend, constraint, answers);
        // Which ones are cut off depends on the processor's arithmetic; with fewer whole ones the test would prove little.
        expect(whole).toBeGreaterThanOrEqual(answers / 4);
      },
      TIME_FOR_EACH_MS * answers,
    );
  });
}

/** How many answers were whole: those that max_tokens cut off prove nothing. */
async function expectAllValid(
  backend: Backend,
  { output, isValid, maxTokens }: Constraint,
  count: number,
): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      read(
        pulled(
          backend,
          {
            ...requestFor(`Describe person number ${index} as JSON.`, {
              sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, seed: index },
              limits: { maxTokens },
            }),
            output,
          },
          { signal: never() },
        ),
      ),
    ),
  );
  const whole = answers.filter(({ finish }) => finish.reason === 'stop');
  const invalid = whole.filter(({ text }) => !isValid(text)).map(({ text }) => text);
  expect(invalid).toEqual([]);
  return whole.length;
}

function isPerson(text: string): boolean {
  return Schema.Check(PERSON, JSON.parse(text));
}

function isObject(text: string): boolean {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
