/**
 * The part of the contract that is about more than plain text: forms of the text, tools, log-probabilities, biases.
 * Small models are asked for little: what is held is the form of their answers, never their sense.
 */
import { expect } from 'vitest';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  TokenLogprob,
  ToolUse,
} from '../../src/core/generation.ts';
import { foldEvents } from '../support/pulled-generation.ts';

export type BehaviourBeyondText =
  | 'json'
  | 'json-schema'
  | 'grammar'
  | 'regex'
  | 'choice'
  | 'stop-tokens'
  | 'bad-words'
  | 'continuation'
  | 'token-prompt'
  | 'tools'
  | 'logprobs'
  | 'logit-bias';

export interface BeyondTextSuite {
  behaves(behaviour: BehaviourBeyondText, title: string, body: () => Promise<void>): void;
  run(
    text: string,
    overrides: Partial<Omit<GenerationRequest, 'id' | 'limits'>> & {
      readonly maxTokens?: number;
      readonly stopTokens?: readonly number[];
    },
  ): Promise<GenerationEvent[]>;
  /** Empty where nothing tells them. */
  tokensOf(text: string): Promise<readonly number[]>;
}

const COUNT = 'Count in words from one to twenty: one, two, three, four, five,';
const OUTSIDE_ANY_VOCABULARY = 2_147_483_647;

const FORM = {
  type: 'object',
  properties: {
    answer: { enum: ['yes', 'no'] },
    sure: { type: 'boolean' },
    why: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 1, maxItems: 2 },
  },
  required: ['answer', 'sure', 'why'],
  additionalProperties: false,
};

/** A scripted backend has to have a call of each. */
export const TOOLS: ToolUse['tools'] = [
  {
    name: 'get_weather',
    description: 'The weather of a city.',
    parameters: {
      type: 'object',
      properties: { city: { enum: ['Paris', 'London'] } },
      required: ['city'],
      additionalProperties: false,
    },
  },
  { name: 'clock', description: 'The time of day.' },
];

export function describeBeyondText({ behaves, run, tokensOf }: BeyondTextSuite): void {
  const wholeOf = async (...asked: Parameters<typeof run>) => fold(await run(...asked));

  behaves('json', 'answers with a JSON object when it is asked for JSON', async () => {
    const prompts = [
      'Describe a fox as JSON: {"name": "fox", "legs":',
      'Give {"ok": true} as JSON.',
      'Say hi as JSON.',
    ];
    const output = { kind: 'json' } as const;
    const answers = [];
    for (const prompt of prompts) answers.push(await wholeOf(prompt, { output, maxTokens: 160 }));
    for (const { text } of answers) expect(text.trimStart()).toMatch(/^\{/);
    const complete = answers.filter(({ finishReason }) => finishReason === 'stop');
    expect(complete).not.toEqual([]);
    for (const { text } of complete) expect(objectOf(text)).toBeDefined();
  });

  behaves('json-schema', 'answers with what the schema allows, and ends when it is complete', async () => {
    const output = { kind: 'json-schema', schema: FORM } as const;
    const { text, finishReason } = await wholeOf('Is the sky blue?', { output, maxTokens: 160 });
    expect(finishReason).toBe('stop');
    const answered = objectOf(text);
    expect(Object.keys(answered).sort()).toEqual(['answer', 'sure', 'why']);
    expect(['yes', 'no']).toContain(answered.answer);
    expect(typeof answered.sure).toBe('boolean');
    expect(answered.why).toSatisfy(
      (why) =>
        Array.isArray(why) && why.length >= 1 && why.length <= 2 && why.every((one) => 'ab'.includes(one)),
    );
  });

  behaves('grammar', 'answers with what the grammar allows, with a chat template and without', async () => {
    const output = { kind: 'grammar', grammar: 'root ::= "yes" | "no"' } as const;
    const input = { kind: 'text', prompt: 'Once upon a time' } as const;
    for (const overrides of [{ output }, { output, input }]) {
      const { text, finishReason } = await wholeOf('Is the sky blue?', { ...overrides, maxTokens: 16 });
      expect(['yes', 'no']).toContain(text);
      expect(finishReason).toBe('stop');
    }
  });

  behaves('regex', 'answers with what the expression matches as a whole, and ends there', async () => {
    const output = { kind: 'regex', regex: '(yes|no), [a-c]{2}' } as const;
    const { text, finishReason } = await wholeOf('Is the sky blue?', { output, maxTokens: 24 });
    expect(text).toMatch(/^(yes|no), [a-c]{2}$/);
    expect(finishReason).toBe('stop');
  });

  behaves('choice', 'answers with one of the choices, with a chat template and without', async () => {
    const output = { kind: 'choice', choices: ['positive', 'negative "so far"', 'positively'] } as const;
    const input = { kind: 'text', prompt: 'The mood is' } as const;
    for (const overrides of [{ output }, { output, input }]) {
      const { text, finishReason } = await wholeOf('How is the mood?', { ...overrides, maxTokens: 24 });
      expect(output.choices).toContain(text);
      expect(finishReason).toBe('stop');
    }
  });

  /** The id of one of the tokens that are said to a prompt, and what is said before it. */
  const tokenSaid = async (place: number) => {
    const { logprobs } = await wholeOf(COUNT, { logprobs: { top: 0 }, maxTokens: 8 });
    const said = logprobs.map(({ bytes }) => Buffer.from(bytes).toString('utf8'));
    const text = said[place] ?? '';
    const token = logprobs[place]?.token ?? (await tokensOf(text))[0] ?? -1;
    return { token, text, before: said.slice(0, said.indexOf(text)).join('') };
  };

  behaves('stop-tokens', 'ends with a stop token, which is no part of the text', async () => {
    const { token, before } = await tokenSaid(3);
    const { text, finishReason, usage } = await wholeOf(COUNT, { stopTokens: [token], maxTokens: 8 });
    expect(text).toBe(before);
    expect(finishReason).toBe('stop');
    expect(usage.completionTokens).toBeLessThanOrEqual(4);
  });

  behaves('bad-words', 'never says the words that are ruled out', async () => {
    const said = await tokenSaid(0);
    const sampling = { temperature: 0, badWords: [said.text.trim()] };
    const { logprobs } = await wholeOf(COUNT, { sampling, logprobs: { top: 0 }, maxTokens: 8 });
    expect(logprobs).not.toEqual([]);
    const words = logprobs.map(({ bytes }) => Buffer.from(bytes).toString('utf8').trim());
    expect(words).not.toContain(said.text.trim());
  });

  behaves('continuation', 'continues the last message, and says only what comes after it', async () => {
    const messages = [
      { role: 'user', content: 'What is the colour of the sky?' },
      { role: 'assistant', content: 'The colour of the sky' },
    ] as const;
    const input = { kind: 'chat', messages, continuesLast: true } as const;
    const { text, usage } = await wholeOf('', { input, maxTokens: 8 });
    expect(text).not.toBe('');
    expect(usage.promptTokens).toBeGreaterThan(8);
  });

  behaves('token-prompt', 'continues a prompt of token ids as it does its text', async () => {
    const prompt = 'Once upon a time';
    const tokens = await tokensOf(prompt);
    if (tokens.length === 0) return;
    const asText = await wholeOf('', { input: { kind: 'text', prompt }, maxTokens: 6 });
    const asTokens = await wholeOf('', { input: { kind: 'tokens', tokens }, maxTokens: 6 });
    expect(asTokens).toMatchObject({ text: asText.text, usage: { promptTokens: tokens.length } });
  });

  behaves('grammar', 'refuses a grammar that is none', async () => {
    const output = { kind: 'grammar', grammar: 'root ::= (' } as const;
    await expect(run('hi', { output })).rejects.toMatchObject({ code: 'invalid_request', param: 'grammar' });
  });

  behaves(
    'tools',
    'calls a tool where a call is required: its head, then pieces of its arguments',
    async () => {
      const events = await run('How is the weather in Paris?', {
        tools: { tools: TOOLS, choice: 'required' },
        maxTokens: 160,
      });
      const begun = new Set<number>();
      for (const event of events) {
        if (event.type === 'tool-call') begun.add(event.index);
        if (event.type === 'tool-arguments') expect(begun.has(event.index)).toBe(true);
      }
      const { toolCalls, finishReason } = await fold(events);
      expect(finishReason).toBe('tool_calls');
      expect(toolCalls.length).toBeGreaterThan(0);
      expect([...begun].sort()).toEqual([...toolCalls.keys()]);
      expect(new Set(toolCalls.map(({ id }) => id)).size).toBe(toolCalls.length);
      for (const call of toolCalls) {
        expect(call.id).not.toBe('');
        expect(TOOLS.map(({ name }) => name)).toContain(call.name);
        const values = objectOf(call.arguments);
        if (call.name === 'get_weather') expect(['Paris', 'London']).toContain(values.city);
      }
    },
  );

  behaves('tools', 'calls the tool that is named', async () => {
    const { toolCalls } = await wholeOf('How is the weather in Paris?', {
      tools: { tools: TOOLS, choice: { name: 'clock' } },
      maxTokens: 160,
    });
    expect(new Set(toolCalls.map(({ name }) => name))).toEqual(new Set(['clock']));
  });

  behaves('tools', 'calls none where none may be called', async () => {
    const { toolCalls, finishReason } = await wholeOf('How is the weather in Paris?', {
      tools: { tools: TOOLS, choice: 'none' },
      maxTokens: 16,
    });
    expect(toolCalls).toEqual([]);
    expect(finishReason).not.toBe('tool_calls');
  });

  behaves('tools', 'goes on from what a tool has answered', async () => {
    const calls = [{ id: 'call_1', name: 'get_weather', arguments: '{"city":"Paris"}' }];
    const { text, toolCalls, usage } = await wholeOf('', {
      input: {
        kind: 'chat',
        messages: [
          { role: 'user', content: 'How is the weather in Paris?' },
          { role: 'assistant', content: '', toolCalls: calls },
          { role: 'tool', content: '18 degrees and sunny', toolCallId: 'call_1' },
        ],
      },
      tools: { tools: TOOLS, choice: 'auto' },
      maxTokens: 48,
    });
    expect(text !== '' || toolCalls.length > 0).toBe(true);
    expect(usage.promptTokens).toBeGreaterThan(0);
  });

  behaves('logprobs', 'tells the log-probability of each token of the text, likeliest first', async () => {
    const { text, logprobs, usage } = await wholeOf(COUNT, { logprobs: { top: 3 }, maxTokens: 8 });
    expect(logprobs).toHaveLength(usage.completionTokens);
    expect(Buffer.from(logprobs.flatMap(({ bytes }) => [...bytes])).toString('utf8')).toBe(text);
    for (const { token, logprob, top } of logprobs) {
      expect(top).toHaveLength(3);
      const values = top.map((likely) => likely.logprob);
      expect(values).toEqual([...values].sort((one, other) => other - one));
      expect(Math.max(logprob, ...values)).toBeLessThanOrEqual(0);
      expect(values.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThanOrEqual(1 + 1e-4);
      // At temperature 0 the likeliest is taken.
      expect(top[0]).toMatchObject({ ...(token !== undefined && { token }), logprob });
    }
  });

  behaves('logprobs', 'tells no others where none are asked for, and none at all unasked', async () => {
    const alone = await wholeOf(COUNT, { logprobs: { top: 0 }, maxTokens: 4 });
    expect(alone.logprobs.map(({ top }) => top)).toEqual([[], [], [], []]);
    const unasked = await wholeOf(COUNT, { maxTokens: 4 });
    expect(unasked.logprobs).toEqual([]);
    expect(unasked.text).toBe(alone.text);
  });

  behaves('logit-bias', 'never says a token that is ruled out', async () => {
    const said = async (sampling: GenerationRequest['sampling']): Promise<readonly TokenLogprob[]> =>
      (await wholeOf(COUNT, { sampling, logprobs: { top: 0 }, maxTokens: 8 })).logprobs;
    const [first] = await said({ temperature: 0 });
    if (first === undefined) throw new Error('nothing was said');
    const token = first.token ?? (await tokensOf(Buffer.from(first.bytes).toString('utf8')))[0] ?? -1;
    const others = await said({ temperature: 0, logitBias: [{ token, bias: -100 }] });
    expect(others).not.toEqual([]);
    if (first.token !== undefined) expect(others.map((other) => other.token)).not.toContain(token);
    else expect(others.map(({ bytes }) => bytes)).not.toContainEqual(first.bytes);
  });

  behaves('logit-bias', 'refuses a token that the model does not have', async () => {
    const sampling = { temperature: 0, logitBias: [{ token: OUTSIDE_ANY_VOCABULARY, bias: 1 }] };
    await expect(run('hi', { sampling })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'logit_bias',
    });
  });
}

function fold(events: readonly GenerationEvent[]): Promise<GenerationResult> {
  return foldEvents(
    (async function* () {
      yield* events;
    })(),
  );
}

/** Throws for anything else. */
function objectOf(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Error(`is no JSON object: ${text}`);
}
