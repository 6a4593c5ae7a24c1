/** Whatever grammar comes in, another answer beside it goes on. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../src/core/backend.ts';
import type { OutputFormat } from '../../../../src/core/generation.ts';
import { embeddedEngine, never, read, requestFor } from '../../../support/embedded-engine.ts';
import { HOSTILE_GRAMMARS } from '../../../support/hostile-grammars.ts';

const TOKENS = 8;
/** Of the time that the same two answers take without a grammar; the least of it for a machine that is busy otherwise. */
const TIMES = 25;
const LEAST_MS = 500;

/** What comes of a grammar or a schema that is taken. */
const HOSTILE: readonly (readonly [what: string, output: OutputFormat])[] = [
  ...HOSTILE_GRAMMARS.filter(({ refused, ended }) => refused === undefined && !ended).map(
    ({ what, gbnf }) => [what, { kind: 'grammar', grammar: gbnf }] as const,
  ),
  [
    'a pattern of equal ways',
    {
      kind: 'json-schema',
      schema: { type: 'string', pattern: `^(${Array(60).fill('[a-z ]').join('|')})*$` },
    },
  ],
  [
    'a thousand words',
    { kind: 'json-schema', schema: { enum: Array.from({ length: 1000 }, (_, n) => `word ${n} of them`) } },
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

  async function both(output: OutputFormat | undefined): Promise<number> {
    const start = performance.now();
    const limits = { maxTokens: TOKENS };
    const held = { ...requestFor('Write about the sea.', { limits }), ...(output && { output }) };
    const answers = [held, requestFor('Write about the hills.', { limits })].map((request) =>
      read(backend.generate(request, { signal: never() })),
    );
    await Promise.all(answers);
    return performance.now() - start;
  }

  it.each(HOSTILE)('an answer goes on: %s', async (_, output) => {
    expect(await both(output)).toBeLessThan(Math.max(TIMES * plainMs, LEAST_MS * TOKENS));
  });
});
