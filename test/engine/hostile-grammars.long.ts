/** Whatever grammar comes in, another answer beside it goes on. */
import { beforeAll, describe, expect, it } from 'vitest';
import { hermes } from '../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';
import { answerGrammar } from '../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import type { Backend } from '../../src/core/backend.ts';
import { ServingError } from '../../src/core/errors.ts';
import type { OutputFormat } from '../../src/core/generation.ts';
import { embeddedEngine, never, read, requestFor } from '../support/embedded-engine.ts';
import { HOSTILE_GRAMMARS } from '../support/hostile-grammars.ts';
import { pulled } from '../support/pulled-generation.ts';

const TOKENS = 8;
/** Of the time that the same two answers take without a grammar; the least of it for a machine that is busy otherwise. */
const TIMES = 25;
const MIN_MS = 500;

const schema = (of: unknown): OutputFormat => ({ kind: 'json-schema', schema: of });
const numbered = <Entry>(count: number, entry: (index: number) => Entry) =>
  Array.from({ length: count }, (_, index) => entry(index));
/** Without the prompt that names them, which would take a model's whole context. */
const CALLS = {
  format: hermes.format,
  single: false,
  tools: numbered(128, (index) => ({
    name: `tool_${index}`,
    parameters: {
      type: 'object',
      properties: Object.fromEntries(numbered(5, (of) => [`argument_${index}_${of}`, { type: 'string' }])),
    },
  })),
};

/** Grammars and schemas that are taken, and those that are refused before the engine has them. */
const HOSTILE: readonly (readonly [what: string, output: OutputFormat])[] = [
  ...HOSTILE_GRAMMARS.filter(({ refused }) => refused === undefined).map(
    ({ what, gbnf }) => [what, { kind: 'grammar', grammar: gbnf }] as const,
  ),
  [
    'a pattern of equal ways',
    schema({ type: 'string', pattern: `^(${Array(60).fill('[a-z ]').join('|')})*$` }),
  ],
  ['a thousand words', schema({ enum: numbered(1000, (index) => `word ${index} of them`) })],
  ['five thousand words', schema({ enum: numbered(5000, (index) => `word ${index} of them`) })],
  [
    'forty patterns of properties',
    schema({ patternProperties: Object.fromEntries(numbered(40, (index) => [`^[a-z]{0,${index}}$`, {}])) }),
  ],
  ['a call of one of 128 tools', { kind: 'grammar', grammar: answerGrammar({ calls: CALLS }).gbnf }],
  [
    'a call of one of 128 tools or an object',
    { kind: 'grammar', grammar: answerGrammar({ calls: CALLS, output: schema({ type: 'object' }) }).gbnf },
  ],
];

describe('beside a hostile grammar', () => {
  let backend: Backend;
  let plainMs = 0;

  beforeAll(async () => {
    ({ backend } = embeddedEngine({ slots: 2 }));
    await backend.warmUp({ signal: never() });
    await both(undefined);
    plainMs = Math.max(await both(undefined), await both(undefined));
  });

  /** Milliseconds until an answer that is bound, and another beside it, are over. */
  async function both(output: OutputFormat | undefined): Promise<number> {
    const start = performance.now();
    const limits = { maxTokens: TOKENS };
    const held = { ...requestFor('Write about the sea.', { limits }), ...(output && { output }) };
    const other = requestFor('Write about the hills.', { limits });
    const answers = [held, other].map((request) => read(pulled(backend, request, { signal: never() })));
    await Promise.all([answers[0]?.catch(refused), answers[1]]);
    return performance.now() - start;
  }

  it.each(HOSTILE)('an answer goes on: %s', async (_, output) => {
    expect(await both(output)).toBeLessThan(Math.max(TIMES * plainMs, MIN_MS * TOKENS));
  });
});

/** Refused beforehand, or ended because its choices took far too long. */
function refused(thrown: unknown): void {
  if (!(thrown instanceof ServingError) || thrown.code !== 'invalid_request') throw thrown;
}
