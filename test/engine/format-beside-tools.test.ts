/** The real model may call a tool or answer in a format: which of the two, a bias on its first token decides here. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { GenerationEvent, GenerationRequest } from '../../src/core/generation.ts';
import { never, requestFor, sharedEngine } from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';

const CITY = {
  type: 'object',
  properties: { city: { enum: ['Rome', 'Oslo'] } },
  required: ['city'],
  additionalProperties: false,
} as const;

describe('a format beside tools', () => {
  const { backend } = sharedEngine();
  beforeAll(() => backend.warmUp({ signal: never() }));

  /** The answer whose first token is the one with which this text begins. */
  async function answerBeginning(
    text: string,
    tools: Partial<GenerationRequest['tools']> = {},
  ): Promise<GenerationEvent[]> {
    const tokens = await backend.tokenizer.encode(
      { input: { kind: 'text', prompt: text }, addSpecial: false },
      { signal: never() },
    );
    const first = tokens[0] as number;
    const request: GenerationRequest = {
      ...requestFor('Where is the weather best?', {
        sampling: { temperature: 0, logitBias: [{ token: first, bias: 100 }] },
        limits: { maxTokens: 80 },
      }),
      output: { kind: 'json-schema', schema: CITY },
      tools: { tools: [{ name: 'get_weather', parameters: CITY }], choice: 'auto', single: true, ...tools },
    };
    const events: GenerationEvent[] = [];
    for await (const event of pulled(backend, request, { signal: never() })) events.push(event);
    return events;
  }

  it('is a call with valid arguments', async () => {
    const events = await answerBeginning('<');
    const call = events.find(({ type }) => type === 'tool-call');
    expect(call).toMatchObject({ name: 'get_weather' });
    const given = events.flatMap((event) => (event.type === 'tool-arguments' ? [event.delta] : [])).join('');
    expect(CITY.properties.city.enum).toContain(JSON.parse(given).city);
    expect(events.some(({ type }) => type === 'text')).toBe(false);
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'tool_calls' });
  });

  it('is text in the format', async () => {
    const events = await answerBeginning('{"');
    const text = events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('');
    expect(CITY.properties.city.enum).toContain(JSON.parse(text).city);
    expect(events.some(({ type }) => type === 'tool-call')).toBe(false);
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'stop' });
  });
});
