import { describe, expect, it } from 'vitest';
import type {
  OpenAiCompatibleBackend,
  OpenAiCompatibleTarget,
} from '../../../../src/backends/openai-compatible/backend.ts';
import type { Clock } from '../../../../src/core/clock.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { ToolUse } from '../../../../src/core/generation.ts';
import type { Log } from '../../../../src/core/log.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import {
  chatRequest,
  generateAll,
  neverAborted,
  textOf,
  textRequest,
} from '../../../support/stand-ins/generate.ts';
import type { OpenAiStandInOptions } from '../../../support/stand-ins/openai-stand-in.ts';
import { runningOpenAi } from '../../../support/stand-ins/running-openai.ts';
import { FAULT_OUTCOMES, type Fault, type StandIn } from '../../../support/stand-ins/stand-in-server.ts';

interface Started {
  readonly standIn: StandIn;
  readonly backend: OpenAiCompatibleBackend;
  readonly logged: string[];
}

async function start(
  options: OpenAiStandInOptions = {},
  overrides: Partial<OpenAiCompatibleTarget> = {},
  clock?: Clock,
): Promise<Started> {
  const logged: string[] = [];
  const take = (message: string) => void logged.push(message);
  const log: Log = { debug: take, info: take, warn: take, error: take };
  const { standIn, backend } = await runningOpenAi(options, overrides, log, clock);
  return { standIn, backend, logged };
}

const lastBody = (standIn: StandIn) => standIn.seen().at(-1)?.body ?? {};
const finishOf = (events: readonly { type: string }[]) => events.find(({ type }) => type === 'finish');

const EVERY_SAMPLING = {
  temperature: 0.5,
  topP: 0.9,
  topK: 5,
  minP: 0.1,
  seed: 3,
  presencePenalty: 1,
  frequencyPenalty: -1,
  repeatPenalty: 1.1,
};

describe('requests', () => {
  it.each([
    ['vllm', 'repetition_penalty'],
    ['llama-server', 'repeat_penalty'],
  ] as const)('sends %s every field by its name there', async (server, penalty) => {
    const { standIn, backend } = await start({ server });
    await generateAll(
      backend,
      chatRequest('hello', { sampling: EVERY_SAMPLING, limits: { maxTokens: 4, stop: ['END'] } }),
    );
    expect(standIn.seen().at(-1)?.path).toBe('/v1/chat/completions');
    expect(lastBody(standIn)).toMatchObject({
      model: 'smollm2',
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'user', content: 'hello' }],
      max_tokens: 4,
      stop: ['END'],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 5,
      min_p: 0.1,
      seed: 3,
      presence_penalty: 1,
      frequency_penalty: -1,
      [penalty]: 1.1,
    });
  });

  it.each([
    ['top_k', { topK: 5 }],
    ['min_p', { minP: 0.1 }],
    ['repeat_penalty', { repeatPenalty: 1.1 }],
    ['repeat_last_n', { repeatLastN: 33 }],
    ['typical_p', { typicalP: 0.7 }],
    ['mirostat', { mirostat: { mode: 2 } }],
  ] as const)('refuses %s by name where the server is not known to take it', async (param, sampling) => {
    const { standIn, backend } = await start({ server: 'generic' });
    const { error } = await generateAll(backend, chatRequest('hello', { sampling }));
    expect(error).toMatchObject({ code: 'unsupported_parameter', param });
    expect(standIn.counts().started).toBe(0);
  });

  it.each(['vllm', 'llama-server'] as const)('sends %s the form of the text and biases', async (server) => {
    const { standIn, backend } = await start({ server });
    const schema = { type: 'object' };
    const sampling = {
      logitBias: [
        { token: 3, bias: -100 },
        { token: 12, bias: 1.5 },
      ],
    };
    await generateAll(backend, chatRequest('hello', { output: { kind: 'json-schema', schema }, sampling }));
    expect(lastBody(standIn)).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
      logit_bias: { 3: -100, 12: 1.5 },
    });
    await generateAll(backend, chatRequest('hello', { output: { kind: 'json' } }));
    expect(lastBody(standIn)).toMatchObject({ response_format: { type: 'json_object' } });
    expect(lastBody(standIn)).not.toHaveProperty('logit_bias');
  });

  it.each([
    ['format', 'generic', textRequest('hello', { output: { kind: 'json' } })],
    ['grammar', 'generic', chatRequest('hello', { output: { kind: 'grammar', grammar: 'root ::= "a"' } })],
    ['min_tokens', 'llama-server', chatRequest('hello', { limits: { stop: [], minTokens: 2 } })],
    ['ignore_eos', 'generic', chatRequest('hello', { limits: { stop: [], ignoreEos: true } })],
    [
      'logprobs',
      'llama-server',
      chatRequest('hello', { logprobs: { top: 1 }, tools: { tools: [{ name: 'clock' }], choice: 'auto' } }),
    ],
  ] as const)('refuses %s by name on %s: nothing is left away', async (param, server, request) => {
    const { standIn, backend } = await start({ server });
    const { error } = await generateAll(backend, request);
    expect(error).toMatchObject({ code: 'unsupported_parameter', param });
    expect(standIn.counts().started).toBe(0);
  });

  it('asks for all that the context leaves when a raw prompt has no limit', async () => {
    const { standIn, backend } = await start();
    const { events } = await generateAll(backend, textRequest('one two three', { limits: { stop: [] } }));
    expect(lastBody(standIn)).toMatchObject({ prompt: 'one two three', max_tokens: null });
    expect(finishOf(events)).toMatchObject({ usage: { completionTokens: 48 } });
  });

  it('sends its key, and takes a url with or without /v1', async () => {
    const { standIn, backend } = await start({ apiKey: 'secret' }, { api_key: 'secret' });
    expect((await generateAll(backend, chatRequest('hello'))).error).toBeUndefined();
    const other = await start({ apiKey: 'secret' }, { api_key: 'secret', url: `${standIn.url}/v1/` });
    expect((await generateAll(other.backend, chatRequest('hello'))).error).toBeUndefined();
  });

  it('reports a rejected key as our own fault, and logs it', async () => {
    const { backend, logged } = await start({ apiKey: 'secret' }, { api_key: 'wrong' });
    expect((await generateAll(backend, chatRequest('hello'))).error).toMatchObject({ code: 'backend_error' });
    await generateAll(backend, chatRequest('hello'));
    expect(logged).toEqual(['The server rejects the api_key of this target']);
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'failed' });
  });

  it('learns which server it is only once', async () => {
    const { standIn, backend } = await start({ server: 'generic' });
    await generateAll(backend, chatRequest('one'));
    await generateAll(backend, chatRequest('two'));
    expect(standIn.seen().filter(({ path }) => path === '/version')).toHaveLength(1);
  });
});

describe('thinking', () => {
  it('is switched off where the template has a switch', async () => {
    const { standIn, backend } = await start();
    await generateAll(backend, chatRequest('hello'));
    expect(lastBody(standIn)).toMatchObject({ chat_template_kwargs: { enable_thinking: false } });
  });

  it('is left to the model where the request says nothing of it', async () => {
    const { standIn, backend } = await start();
    const { thinking: _, ...request } = chatRequest('hello');
    await generateAll(backend, request);
    expect(lastBody(standIn)).not.toHaveProperty('chat_template_kwargs');
    expect(lastBody(standIn)).not.toHaveProperty('reasoning_effort');
  });

  it.each(['reasoning', 'reasoning_content'] as const)(
    'comes apart from the text, from %s',
    async (reasoningField) => {
      const { standIn, backend } = await start({ reasoningField });
      const { events } = await generateAll(backend, chatRequest('hello', { thinking: 'low' }));
      expect(lastBody(standIn)).toMatchObject({
        chat_template_kwargs: { enable_thinking: true },
        reasoning_effort: 'low',
      });
      expect(events).toContainEqual({ type: 'reasoning', text: 'Let me think.' });
      expect(textOf(events)).not.toContain('think');
    },
  );

  it('is left alone where the template refuses the switch, which is remembered', async () => {
    const { standIn, backend } = await start({ refusesTemplateSwitch: true });
    expect((await generateAll(backend, chatRequest('hello'))).error).toBeUndefined();
    expect((await generateAll(backend, chatRequest('hello'))).error).toBeUndefined();
    expect(standIn.counts().started).toBe(3);
    const wished = await generateAll(backend, chatRequest('hello', { thinking: true }));
    expect(wished.error).toMatchObject({ code: 'unsupported_parameter', param: 'think' });
  });

  it('is said to all others as before when a refusal repeats the words of one client', async () => {
    const { standIn, backend } = await start({ repeatsRefused: true });
    for (const words of ['chat_template is not supported', 'max_completion_tokens'])
      expect((await generateAll(backend, chatRequest(`refuse ${words}`))).error).toMatchObject({
        code: 'invalid_request',
      });
    await generateAll(backend, chatRequest('hello'));
    expect(lastBody(standIn)).toMatchObject({
      chat_template_kwargs: { enable_thinking: false },
      max_tokens: 8,
    });
  });

  it('is not asked again without the switch where a client has words of its own for the template', async () => {
    const { standIn, backend } = await start({ refusesTemplateSwitch: true });
    const extras = { chat_template_kwargs: { style: 'short' } };
    const { error } = await generateAll(backend, chatRequest('hello', { extras }));
    expect(error).toMatchObject({ code: 'invalid_request' });
    expect(standIn.counts().started).toBe(1);
  });

  it('takes levels but no plain wish where the server is not known', async () => {
    const { standIn, backend } = await start({ server: 'generic' });
    await generateAll(backend, chatRequest('hello', { thinking: 'high' }));
    expect(lastBody(standIn)).toMatchObject({ reasoning_effort: 'high' });
    const { error } = await generateAll(backend, chatRequest('hello', { thinking: true }));
    expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'think' });
  });

  it('that a client switches off is told to an unknown server as a level, which is asked once where it refuses its own field', async () => {
    const { thinkingIsDefault: _, ...wish } = chatRequest('hello');
    const taking = await start({ server: 'generic' });
    await generateAll(taking.backend, chatRequest('hello'));
    expect(lastBody(taking.standIn)).not.toHaveProperty('reasoning_effort');
    await generateAll(taking.backend, wish);
    expect(lastBody(taking.standIn)).toMatchObject({ reasoning_effort: 'none' });
    for (const [refusesEffort, asked] of [
      ['openai', 1],
      ['openai-value', 1],
      ['pydantic', 2],
    ] as const) {
      const { standIn, backend } = await start({ server: 'generic', refusesEffort });
      for (const _again of [1, 2])
        expect((await generateAll(backend, wish)).error).toMatchObject({
          code: 'unsupported_parameter',
          param: 'think',
        });
      expect(standIn.counts().started).toBe(asked);
      const level = await generateAll(backend, chatRequest('hello', { thinking: 'low' }));
      expect(level.error).toMatchObject({ code: expect.any(String) });
      expect(standIn.counts().started).toBe(asked + 1);
    }
  });

  it('is left to the client’s own words where the target passes them on', async () => {
    const { standIn, backend } = await start(
      { server: 'generic' },
      { pass_fields: ['chat_template_kwargs'] },
    );
    const extras = { chat_template_kwargs: { enable_thinking: false } };
    const { thinkingIsDefault: _, ...wish } = chatRequest('hello', { extras });
    expect((await generateAll(backend, wish)).error).toBeUndefined();
    expect((await generateAll(backend, { ...wish, thinking: true })).error).toBeUndefined();
    expect(lastBody(standIn)).toMatchObject(extras);
    expect(lastBody(standIn)).not.toHaveProperty('reasoning_effort');
  });

  it('of earlier turns goes to a server that is found out, in the field that the target names', async () => {
    const target = { flavor: 'auto', reasoning_field: 'reasoning_content' } as const;
    const { standIn, backend } = await start({ server: 'generic' }, target);
    const input = {
      kind: 'chat',
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'hi', reasoning: 'A greeting.' },
        { role: 'user', content: 'hello' },
      ],
    } as const;
    await generateAll(backend, chatRequest('', { input }));
    expect(lastBody(standIn)).toMatchObject({
      messages: [{}, { content: 'hi', reasoning_content: 'A greeting.' }, {}],
    });
  });

  it('cannot go with a raw prompt', async () => {
    const { backend } = await start();
    const { error } = await generateAll(backend, textRequest('hello', { thinking: true }));
    expect(error).toMatchObject({ code: 'unsupported_parameter', param: 'think' });
  });
});

describe('a forced call', () => {
  const clock = { name: 'clock' };
  const forced = (tools: ToolUse['tools']) => chatRequest('hi', { tools: { tools, choice: 'required' } });

  it('is asked again without being strict where the server takes the schema only so', async () => {
    const { standIn, backend } = await start({ server: 'generic', refusesStrictTools: true });
    const { events, error } = await generateAll(backend, forced([clock]));
    expect(error).toBeUndefined();
    expect(finishOf(events)).toMatchObject({ reason: 'tool_calls' });
    expect(standIn.counts().started).toBe(2);
  });

  it('that max_tokens cuts is told as cut, though vllm says that it is whole', async () => {
    const { backend } = await start();
    const weather = {
      name: 'weather',
      parameters: { type: 'object', properties: { city: { enum: ['Paris'] } }, required: ['city'] },
    };
    const { events } = await generateAll(backend, {
      ...forced([weather]),
      limits: { maxTokens: 3, stop: [] },
    });
    expect(finishOf(events)).toMatchObject({ reason: 'length', usage: { completionTokens: 3 } });
  });

  it('is refused where the client itself wants it strict', async () => {
    const { standIn, backend } = await start({ server: 'generic', refusesStrictTools: true });
    const { error } = await generateAll(backend, forced([{ ...clock, strict: true }]));
    expect(error).toMatchObject({ code: 'invalid_request', param: 'tools' });
    expect(standIn.counts().started).toBe(1);
  });
});

describe('answers', () => {
  it('names the stop string where the server tells it', async () => {
    const { backend } = await start();
    const { events } = await generateAll(
      backend,
      chatRequest('one two three', { limits: { maxTokens: 20, stop: ['three'] } }),
    );
    expect(textOf(events)).toBe('one two ');
    expect(finishOf(events)).toMatchObject({
      reason: 'stop',
      matchedStop: 'three',
      usage: { promptTokens: 3, completionTokens: 3 },
    });
  });

  it('finishes at once when reason and usage are here, though the server never ends', async () => {
    // It waits for nothing: no time goes by.
    const { backend } = await start({ withoutEnd: true }, {}, new FakeClock());
    const { events } = await generateAll(backend, chatRequest('hello'));
    expect(finishOf(events)).toMatchObject({ reason: 'length' });
  });

  it('finishes soon after the reason when neither usage nor an end comes', async () => {
    const { backend } = await start({ withoutEnd: true, withoutUsage: true });
    const { events } = await generateAll(backend, chatRequest('hello'));
    expect(finishOf(events)).toMatchObject({ reason: 'length' });
  });

  it('counts pieces where the server reports no usage, and says so once', async () => {
    const { backend, logged } = await start({ withoutUsage: true });
    for (let turn = 0; turn < 2; turn += 1) {
      const { events } = await generateAll(backend, chatRequest('hello'));
      expect(finishOf(events)).toMatchObject({ usage: { promptTokens: 0, completionTokens: 8 } });
    }
    expect(logged).toHaveLength(1);
  });
});

describe('whole answers', () => {
  const askWhole = (
    backend: OpenAiCompatibleBackend,
    request = chatRequest('one two three'),
    signal = neverAborted(),
  ) => generateAll(backend, request, signal, { delivery: 'whole' });

  it.each(['vllm', 'llama-server', 'generic'] as const)('are asked of %s whole', async (server) => {
    const { standIn, backend } = await start({ server });
    const asked: string[] = [];
    const options = { delivery: 'whole', onUnstreamed: () => void asked.push('whole') } as const;
    const whole = await generateAll(backend, chatRequest('one two three'), neverAborted(), options);
    expect(whole.error).toBeUndefined();
    expect(asked).toEqual(['whole']);
    expect(lastBody(standIn)).toMatchObject({ stream: false });
    expect(lastBody(standIn)).not.toHaveProperty('stream_options');
    expect(whole.events.map(({ type }) => type)).toEqual(['start', 'text', 'finish']);
    const streamed = await generateAll(backend, chatRequest('one two three'));
    expect(textOf(whole.events)).toBe(textOf(streamed.events));
    expect(finishOf(whole.events)).toEqual(finishOf(streamed.events));
  });

  it('stay streamed where the configuration, the client or what is asked wants it so', async () => {
    const { standIn, backend } = await start();
    const streams = async (run: Promise<unknown>) => {
      await run;
      expect(lastBody(standIn)).toMatchObject({ stream: true });
    };
    await streams(generateAll(backend, chatRequest('hi')));
    await streams(askWhole(backend, chatRequest('hi', { logprobs: { top: 1 } })));
    await streams(
      askWhole(backend, chatRequest('hi', { tools: { tools: [{ name: 'a' }], choice: 'auto' } })),
    );
    const streamed = await start({}, { whole_answers: 'streamed' });
    await askWhole(streamed.backend);
    expect(lastBody(streamed.standIn)).toMatchObject({ stream: true });
  });

  it.each([
    ['exceed max_tokens', { ignoresLimit: true }],
    ['tell no usage', { withoutUsage: true }],
  ])('are streamed from then on where they %s', async (_, options) => {
    const { standIn, backend, logged } = await start(options);
    const { events } = await askWhole(backend);
    expect(finishOf(events)).toMatchObject({ reason: 'length' });
    expect(textOf(events).length).toBeLessThan(60);
    await askWhole(backend);
    expect(lastBody(standIn)).toMatchObject({ stream: true });
    expect(logged.filter((line) => line.startsWith('Unstreamed answers'))).toHaveLength(1);
  });

  it('are read as they come where the server streams nevertheless, and are asked as streams from then on', async () => {
    const { standIn, backend, logged } = await start({ alwaysStreams: true });
    const { events, error } = await askWhole(backend);
    expect(error).toBeUndefined();
    expect(textOf(events)).toBe(textOf((await generateAll(backend, chatRequest('one two three'))).events));
    await askWhole(backend);
    expect(lastBody(standIn)).toMatchObject({ stream: true });
    expect(logged.filter((line) => line.startsWith('Unstreamed answers'))).toHaveLength(1);
  });

  it('that nobody waits for any more are given up: the connection closes', async () => {
    const { standIn, backend } = await start({ fault: 'hang' });
    const cancellation = new AbortController();
    const pending = askWhole(backend, chatRequest('hi'), cancellation.signal);
    await standIn.until(({ inFlight }) => inFlight === 1);
    const reason = new ServingError('client_gone');
    cancellation.abort(reason);
    expect((await pending).error).toBe(reason);
    await standIn.until(({ inFlight, aborted }) => inFlight === 0 && aborted === 1);
  });

  it.each<[Fault, string]>([
    ['refuse', 'no_backend_available'],
    ['reset', 'backend_error'],
    ['not-http', 'backend_error'],
    ['garbage', 'backend_error'],
    ['error-500', 'backend_error'],
    ['busy', 'no_backend_available'],
    ['cut', 'backend_error'],
  ])('%s becomes %s', async (fault, code) => {
    const { standIn, backend } = await start();
    await backend.probe({ signal: neverAborted() });
    await standIn.setFault(fault);
    const { events, error } = await askWhole(backend);
    expect(error).toMatchObject({ code });
    expect(events).toEqual([]);
  });
});

describe('a schema that the server cannot keep to', () => {
  const request = chatRequest('hi', { output: { kind: 'json-schema', schema: { type: 'object' } } });

  it.each([
    ['stream', {}],
    ['whole', {}],
    ['whole', { refusesWithin200: true }],
  ] as const)('is refused by name, also where it is found in the %s %j', async (delivery, options) => {
    const { backend } = await start({ refusesSchemaInStream: true, ...options });
    const { events, error } = await generateAll(backend, request, neverAborted(), { delivery });
    expect(error).toMatchObject({
      code: 'invalid_request',
      param: 'format',
      message: expect.stringContaining('not supported by xgrammar'),
    });
    expect(events).toEqual([]);
  });
});

describe('the prompt’s length', () => {
  const startOf = async (server: 'vllm' | 'llama-server', promptTokensFirst: boolean) => {
    const { standIn, backend } = await start({ server });
    const options = { promptTokensFirst };
    const { events } = await generateAll(backend, chatRequest('one two three'), neverAborted(), options);
    return { first: events[0], body: lastBody(standIn) };
  };

  it('comes before the first piece where the client is told it then, and is asked for only then', async () => {
    const vllm = await startOf('vllm', true);
    expect(vllm.first).toMatchObject({ type: 'start', promptTokens: 3 });
    expect(vllm.body).toMatchObject({
      stream_options: { include_usage: true, continuous_usage_stats: true },
    });
    const llama = await startOf('llama-server', true);
    expect(llama.first).toMatchObject({ type: 'start', promptTokens: 3 });
    expect(llama.body).toMatchObject({ return_progress: true });
    for (const server of ['vllm', 'llama-server'] as const) {
      const { first, body } = await startOf(server, false);
      expect(first).toEqual({ type: 'start' });
      expect(JSON.stringify(body)).not.toMatch(/continuous_usage_stats|return_progress/);
    }
  });
});

describe('context', () => {
  it('lowers a max_tokens that is larger than what is left', async () => {
    for (const server of ['vllm', 'generic'] as const) {
      const { backend } = await start({ server, contextSize: 20 });
      const { events, error } = await generateAll(
        backend,
        chatRequest('one two three', { limits: { maxTokens: 400, stop: [] } }),
      );
      expect(error).toBeUndefined();
      expect(finishOf(events)).toMatchObject({
        reason: 'length',
        usage: { promptTokens: 3, completionTokens: 17 },
      });
    }
  });

  it.each(['vllm', 'llama-server', 'generic'] as const)(
    'tells both numbers when the prompt is too long for %s',
    async (server) => {
      const { backend } = await start({ server, contextSize: 20 });
      const { error } = await generateAll(backend, chatRequest('word '.repeat(30)));
      expect(error).toMatchObject({
        code: 'context_length_exceeded',
        message: expect.stringMatching(/30 tokens.*holds 20/),
      });
    },
  );
});

describe('a template without tools', () => {
  const tools = [{ name: 'clock' }];
  const earlier = [
    { role: 'assistant', content: '', toolCalls: [{ id: 'a', name: 'clock', arguments: '{}' }] },
    { role: 'tool', content: 'noon', toolCallId: 'a' },
  ] as const;

  it.each([
    ['tools', { tools: { tools, choice: 'auto' } }],
    ['tools', { tools: { tools, choice: 'required' } }],
    ['messages[0].tool_calls', { input: { kind: 'chat', messages: earlier } }],
  ] as const)('has %s refused by name', async (param, asked) => {
    const { standIn, backend } = await start({ server: 'llama-server', templateWithoutTools: true });
    expect((await backend.probe({ signal: neverAborted() })).abilities).toEqual(['generate']);
    const { error } = await generateAll(backend, chatRequest('hi', asked));
    expect(error).toMatchObject({
      code: 'unsupported_parameter',
      param,
      message: expect.stringContaining('this model, whose chat template has no'),
    });
    expect(standIn.counts().started).toBe(0);
  });

  it('answers where none may be called, and before anything is known of it', async () => {
    const { backend } = await start({ server: 'llama-server', templateWithoutTools: true });
    expect(
      (await generateAll(backend, chatRequest('hi', { tools: { tools, choice: 'auto' } }))).error,
    ).toBeUndefined();
    await backend.probe({ signal: neverAborted() });
    expect(
      (await generateAll(backend, chatRequest('hi', { tools: { tools, choice: 'none' } }))).error,
    ).toBeUndefined();
  });
});

describe('faults', () => {
  it.each(FAULT_OUTCOMES)('%s becomes %s', async (fault, code, afterText) => {
    const { standIn, backend } = await start();
    await backend.probe({ signal: neverAborted() });
    await standIn.setFault(fault);
    const { events, error } = await generateAll(backend, chatRequest('hello there'));
    expect(error).toMatchObject({ code });
    expect(textOf(events) !== '').toBe(afterText);
    expect(finishOf(events)).toBeUndefined();
  });

  it('says that the model is not served there', async () => {
    const { backend } = await start({}, { model: 'other' });
    expect((await generateAll(backend, chatRequest('hello'))).error).toMatchObject({
      code: 'model_not_found',
    });
    await expect(backend.warmUp({ signal: neverAborted() })).rejects.toMatchObject({
      code: 'model_not_found',
    });
  });
});

describe('a model that the server does not list', () => {
  const stateOf = async (
    server: NonNullable<OpenAiStandInOptions['server']>,
    check_listed: NonNullable<OpenAiCompatibleTarget['check_listed']>,
  ) => {
    const { backend } = await start({ server }, { model: 'other', check_listed });
    const state = async () => (await backend.probe({ signal: neverAborted() })).state;
    return { backend, state };
  };

  it.each([
    ['vllm', 'auto', 'not_found'],
    ['generic', 'auto', 'ready'],
    ['generic', 'yes', 'not_found'],
    ['generic', 'no', 'ready'],
    ['vllm', 'no', 'ready'],
  ] as const)('of %s with check_listed: %s is %s', async (server, checkListed, expected) => {
    const { state } = await stateOf(server, checkListed);
    expect(await state()).toBe(expected);
  });

  it('is missing once a request has found that it is', async () => {
    const { backend, state } = await stateOf('generic', 'auto');
    const { error } = await generateAll(backend, chatRequest('hello'));
    expect(error).toMatchObject({ code: 'model_not_found', failure: 'misconfigured' });
    expect(await state()).toBe('not_found');
  });
});

describe('probe', () => {
  it.each([
    ['vllm', 2048],
    ['llama-server', 2048],
    ['generic', undefined],
  ] as const)('finds %s ready, with its context', async (server, contextSize) => {
    const { backend } = await start({ server });
    const status = await backend.probe({ signal: neverAborted() });
    expect(status).toMatchObject({ state: 'ready', loaded: true });
    expect(status.contextSize).toBe(contextSize);
    expect(status.abilities).toEqual(server === 'generic' ? undefined : ['generate', 'tools']);
  });

  it('reads the load of a server, and of no router, behind which it would be that of any engine', async () => {
    const asked = async (target: Partial<OpenAiCompatibleTarget>) => {
      const { standIn, backend } = await start({ server: 'vllm' }, target);
      await backend.probe({ signal: neverAborted() });
      await generateAll(backend, chatRequest('hello'), neverAborted(), { delivery: 'whole' });
      const seen = standIn.seen();
      const asksForLoad = seen.some(({ headers }) => headers['endpoint-load-metrics-format'] !== undefined);
      return [seen.some(({ path }) => path === '/metrics'), asksForLoad];
    };
    expect(await asked({})).toEqual([true, true]);
    expect(await asked({ router: 'llm-d' })).toEqual([false, false]);
  });

  it('finds out whether a llama-server sees', async () => {
    const { backend } = await start({ server: 'llama-server', sees: true });
    const { abilities } = await backend.probe({ signal: neverAborted() });
    expect(abilities).toEqual(['generate', 'tools', 'see']);
  });

  it('learns how many llama-server runs at once, and asks for that only once', async () => {
    const { standIn, backend } = await start({ server: 'llama-server' });
    for (let turn = 0; turn < 3; turn += 1)
      expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready', slots: 4 });
    expect(standIn.seen().filter(({ path }) => path === '/props')).toHaveLength(1);
    const vllm = await start({ server: 'vllm' });
    expect(await vllm.backend.probe({ signal: neverAborted() })).not.toHaveProperty('slots');
  });

  it('asks again how many it runs where the server could not tell', async () => {
    const { backend } = await start({ server: 'llama-server', failingProps: 1 });
    expect(await backend.probe({ signal: neverAborted() })).not.toHaveProperty('slots');
    expect(await backend.probe({ signal: neverAborted() })).toHaveProperty('slots');
  });

  it('tells a dead engine from one that loads', async () => {
    const dead = await start({ server: 'vllm', health: 503 });
    expect(await dead.backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'failed' });
    const loading = await start({ server: 'llama-server', health: 503 });
    expect(await loading.backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'loading' });
    await expect(loading.backend.warmUp({ signal: neverAborted() })).rejects.toMatchObject({
      code: 'model_loading',
    });
  });

  it('takes the word of the list where an ingress in front of vLLM has no /health', async () => {
    const { backend } = await start({ server: 'vllm', health: 404 });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'ready' });
    const other = await start({ server: 'vllm', health: 404 }, { model: 'another' });
    expect(await other.backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'not_found' });
  });

  it('does not take a wrong address for a vLLM that hides its /health', async () => {
    const { standIn } = await start({ server: 'vllm' });
    const { backend } = await start({}, { flavor: 'vllm', url: `${standIn.url}/wrong` });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({
      state: 'failed',
      detail: 'The server has neither /health nor /v1/models. Check the target’s url.',
    });
  });

  it('finds a server that is gone unreachable', async () => {
    const { backend } = await start({ fault: 'refuse' });
    expect(await backend.probe({ signal: neverAborted() })).toMatchObject({ state: 'unreachable' });
  });
});
