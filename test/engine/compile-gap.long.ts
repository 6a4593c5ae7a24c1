/** While a schema at the limits compiles, and while its grammar is handed to the engine, the streams beside it go on. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/core/backend.ts';
import type { GenerationRequest, OutputFormat } from '../../src/core/generation.ts';
import { embeddedEngine, never, read, requestFor } from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const STREAMS = 3;
const TIMES = 4;
const QUIET_MS = 3_000;
/** What a compilation costs shows in each attempt; what a busy machine costs, only in some. */
const ATTEMPTS = 3;

const numbered = <Entry>(count: number, entry: (index: number) => Entry) =>
  Array.from({ length: count }, (_, index) => entry(index));

/** 330 objects in one: nearly all the rules that a schema may make. */
function largeFormat(name: string): OutputFormat {
  const properties = Object.fromEntries(
    numbered(330, (index) => [
      `property_${name}_${index}`,
      {
        type: 'object',
        properties: {
          text: { type: 'string', maxLength: 50 + (index % 40) },
          number: { type: 'integer', minimum: index, maximum: 1000 + index },
        },
        required: ['text'],
      },
    ]),
  );
  return { kind: 'json-schema', schema: { type: 'object', properties, required: Object.keys(properties) } };
}

/** As long as a client's own grammar may be. */
function largeGrammar(name: string): OutputFormat {
  const lines = ['root ::= r0'];
  for (let length = 0, index = 0; length < 261_000; index++) {
    const line = `r${index} ::= "${name} ${index}" [a-z] r${index + 1}`;
    lines.push(line);
    length += line.length + 1;
  }
  return { kind: 'grammar', grammar: [...lines, `r${lines.length - 1} ::= "x"`].join('\n') };
}

/** 128 tools, the most that a request may have. Their prompt does not fit, which is known after they have compiled. */
function largeTools(name: string): Pick<GenerationRequest, 'tools'> {
  const tools = numbered(128, (tool) => ({
    name: `tool_${name}_${tool}`,
    parameters: {
      type: 'object',
      properties: Object.fromEntries(
        numbered(5, (index) => [
          `argument_${tool}_${index}`,
          {
            type: 'object',
            properties: { a: { type: 'string' }, [`b${tool}`]: { type: 'integer' } },
            required: ['a'],
          },
        ]),
      ),
    },
  }));
  return { tools: { tools, choice: 'required' } };
}

describe('beside a schema at the limits', () => {
  let backend: Backend;

  beforeAll(async () => {
    ({ backend } = embeddedEngine({ slots: STREAMS + 1, context_size: 4096 }));
    await backend.warmUp({ signal: never() });
  });

  const request = (more: Pick<GenerationRequest, 'output' | 'tools'>) =>
    read(
      pulled(
        backend,
        { ...requestFor('Answer.', { limits: { maxTokens: 1 } }), ...more },
        { signal: never() },
      ),
    );

  /** Milliseconds between two texts of one stream, before and during what is awaited. */
  async function gapsBeside(during: () => Promise<unknown>): Promise<{ usual: number[]; beside: number[] }> {
    const arrivals: number[][] = numbered(STREAMS, () => []);
    const leaving = new AbortController();
    const streams = arrivals.map(async (times, index) => {
      const limits = { maxTokens: 2_000, ignoreEos: true } as const;
      const story = requestFor(`Write a long story about ${index} friends.`, { limits });
      for await (const event of pulled(backend, story, { signal: leaving.signal }))
        if (event.type === 'text') times.push(performance.now());
    });
    await expect.poll(() => arrivals.every(({ length }) => length > 0), { timeout: 60_000 }).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const begun = performance.now();
    await during();
    const ended = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 300));
    leaving.abort(new Error('enough'));
    await Promise.allSettled(streams);
    const gaps = (from: number, to: number) =>
      arrivals.flatMap((times) =>
        times.flatMap((time, index) => {
          const before = times[index - 1];
          return before !== undefined && time >= from && before <= to ? [time - before] : [];
        }),
      );
    return { usual: gaps(begun - QUIET_MS, begun), beside: gaps(begun, ended) };
  }

  const cases: readonly (readonly [string, (name: string) => Pick<GenerationRequest, 'output' | 'tools'>])[] =
    [
      ['a format of 330 objects', (name) => ({ output: largeFormat(name) })],
      ['a grammar of 262,144 characters', (name) => ({ output: largeGrammar(name) })],
      ['128 tools', largeTools],
    ];

  it.each(cases)('no stream pauses for more than four usual gaps: %s', async (what, make) => {
    const ratios: number[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { usual, beside } = await gapsBeside(() => request(make(`${what[2]}${attempt}`)).catch(() => {}));
      const sorted = [...usual].sort((one, other) => one - other);
      const median = sorted[Math.floor(sorted.length / 2)] as number;
      ratios.push(Math.max(...beside) / median);
      process.stdout.write(
        `${what}: usual ${median.toFixed(1)} ms (largest ${(sorted.at(-1) as number).toFixed(1)}), beside it at most ${Math.max(...beside).toFixed(1)} ms of ${beside.length} gaps\n`,
      );
    }
    expect(Math.min(...ratios), 'usual gaps in the longest pause, on a quiet machine').toBeLessThan(TIMES);
  });
});
