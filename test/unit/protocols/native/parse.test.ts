import { describe, expect, it } from 'vitest';
import { cpuMs } from '../../../support/cpu-time.ts';
import {
  nestedArrays,
  parseNative as parse,
  nativeRefusal as refusal,
} from '../../../support/native-body.ts';

describe('a native body', () => {
  it('becomes a request: a prompt is one user message', () => {
    expect(parse({ prompt: 'hi' }).request).toEqual({
      id: 'gen_000000000000000000000001',
      model: 'm',
      input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
      sampling: {},
      limits: { maxTokens: 256, maxTokensIsDefault: true, stop: [] },
      thinking: false,
      thinkingIsDefault: true,
    });
  });

  it('carries every field', () => {
    const parsed = parse({
      prompt: 'hi',
      system: 'be brief',
      model: 'm',
      max_tokens: 9,
      temperature: 0,
      top_p: 0.5,
      top_k: 0,
      min_p: 0.1,
      seed: 2147483647,
      presence_penalty: -2,
      frequency_penalty: 2,
      repeat_penalty: 1.1,
      stop: 'x',
      think: 'low',
      timeout_ms: 5,
    });
    expect(parsed).toMatchObject({
      timeoutMs: 5,
      request: {
        input: {
          messages: [
            { role: 'system', content: 'be brief' },
            { role: 'user', content: 'hi' },
          ],
        },
        sampling: {
          temperature: 0,
          topP: 0.5,
          topK: 0,
          minP: 0.1,
          seed: 2147483647,
          presencePenalty: -2,
          frequencyPenalty: 2,
          repeatPenalty: 1.1,
        },
        limits: { maxTokens: 9, stop: ['x'] },
        thinking: 'low',
      },
    });
  });

  it('may be a conversation, or raw', () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: '' },
    ];
    expect(parse({ messages }).request.input).toEqual({ kind: 'chat', messages });
    expect(parse({ prompt: '<s>', raw: true }).request.input).toEqual({ kind: 'text', prompt: '<s>' });
  });

  it('may ask for a form of the text, for log-probabilities and for biases', () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } } };
    expect(parse({ prompt: 'a', format: 'json' }).request.output).toEqual({ kind: 'json' });
    expect(parse({ prompt: 'a', format: schema }).request.output).toEqual({ kind: 'json-schema', schema });
    expect(parse({ prompt: 'a', grammar: 'root ::= "a"', raw: true }).request.output).toEqual({
      kind: 'grammar',
      grammar: 'root ::= "a"',
    });
    expect(parse({ prompt: 'a', logprobs: true }).request.logprobs).toEqual({ top: 0 });
    expect(parse({ prompt: 'a', logprobs: true, top_logprobs: 20 }).request.logprobs).toEqual({ top: 20 });
    expect(parse({ prompt: 'a', logprobs: false }).request).not.toHaveProperty('logprobs');
    expect(
      parse({ prompt: 'a', logit_bias: { 4294967295: 1.5, 0: -100, 15: 100 } }).request.sampling,
    ).toEqual({
      logitBias: [
        { token: 0, bias: -100 },
        { token: 15, bias: 100 },
        { token: 4294967295, bias: 1.5 },
      ],
    });
  });

  it('may bring a schema of 10,000 properties, or one of 128 levels', () => {
    const properties = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`p${index}`, {}]));
    const startedAt = cpuMs();
    expect(parse({ prompt: 'a', format: { properties } }).request.output).toMatchObject({
      kind: 'json-schema',
    });
    expect(cpuMs() - startedAt).toBeLessThan(1000);
    expect(parse({ prompt: 'a', format: { deep: nestedArrays(127) } }).request.output).toBeDefined();
    expect(refusal({ prompt: 'a', format: { deep: nestedArrays(128) } }).param).toBe('format');
  });

  it('gets its default of max_tokens lowered to a small context', () => {
    const small = { requireModel: () => ({ id: 'm', contextSize: 100 }) };
    expect(parse({ prompt: 'a' }, small).request.limits.maxTokens).toBe(100);
  });

  it.each([
    [{}, 'prompt', 'prompt is missing'],
    [{ prompt: '' }, 'prompt', 'prompt is "", but must be a string of at least 1 character.'],
    [{ prompt: 5 }, 'prompt', 'prompt is 5, but must be a string'],
    [{ prompt: 'a', messages: [{ role: 'user', content: 'b' }] }, 'messages', 'exactly one'],
    [{ messages: [] }, 'messages', 'a list of at least 1 entry'],
    [
      { messages: [{ role: 'robot', content: '' }] },
      'messages[0].role',
      'messages[0].role is "robot", but must be one of "system", "user", "assistant", "tool".',
    ],
    [
      { messages: [{ role: 'user' }] },
      'messages[0].content',
      'messages[0].content is missing. It must be a string.',
    ],
    [
      { messages: [{ role: 'user', content: 'a', name: 'x' }] },
      'messages[0].name',
      'messages[0].name is not known.',
    ],
    [{ messages: [{ role: 'user', content: 'a' }], system: 's' }, 'system', 'only allowed with prompt'],
    [{ messages: [{ role: 'user', content: 'a' }], raw: true }, 'raw', 'only allowed with prompt'],
    [{ prompt: 'a', raw: true, system: 's' }, 'system', 'not allowed with raw'],
    [{ prompt: 'a', colour: 1 }, 'colour', 'colour is not known.'],
    [{ prompt: 'a', constructor: 1 }, 'constructor', 'constructor is not known.'],
    [{ prompt: 'a', max_tokens: 0 }, 'max_tokens', 'max_tokens is 0, but must be an integer of at least 1.'],
    [{ prompt: 'a', max_tokens: 1.5 }, 'max_tokens', 'must be an integer'],
    [{ prompt: 'a', max_tokens: '3' }, 'max_tokens', 'max_tokens is "3"'],
    [{ prompt: 'a', max_tokens: 1001 }, 'max_tokens', 'at most 1000'],
    [
      { prompt: 'a', temperature: 2.1 },
      'temperature',
      'temperature is 2.1, but must be a number from 0 to 2.',
    ],
    [{ prompt: 'a', top_p: 0 }, 'top_p', 'top_p is 0, but must be a number above 0 and at most 1.'],
    [{ prompt: 'a', top_k: -1 }, 'top_k', 'top_k is -1'],
    [{ prompt: 'a', min_p: 2 }, 'min_p', 'from 0 to 1'],
    [{ prompt: 'a', seed: 2147483648 }, 'seed', 'from 0 to 2147483647'],
    [{ prompt: 'a', seed: null }, 'seed', 'seed is null'],
    [{ prompt: 'a', presence_penalty: 3 }, 'presence_penalty', 'from -2 to 2'],
    [{ prompt: 'a', frequency_penalty: 'x' }, 'frequency_penalty', 'a number'],
    [{ prompt: 'a', repeat_penalty: 0 }, 'repeat_penalty', 'above 0 and at most 2'],
    [{ prompt: 'a', stop: '' }, 'stop', 'stop is ""'],
    [
      { prompt: 'a', stop: ['a', ''] },
      'stop[1]',
      'stop[1] is "", but must be a string of at least 1 character',
    ],
    [{ prompt: 'a', stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'at most 4 entries'],
    [{ prompt: 'a', stop: ['', ''] }, 'stop[0]', 'stop[0] is "", but must be'],
    [{ prompt: 'a', bad_words: ['b', ' '] }, 'bad_words[1]', 'not all blanks'],
    [{ prompt: 'a', stop_token_ids: [-1] }, 'stop_token_ids[0]', 'at least 0'],
    [{ prompt: 'a', logit_bias: { a: 1 } }, 'logit_bias', 'logit_bias has the key "a", but its keys must be'],
    [{ prompt: 'a', logit_bias: { '-1': 1 } }, 'logit_bias', 'whole numbers'],
    [{ prompt: 'a', logit_bias: { '01': 1 } }, 'logit_bias', 'whole numbers'],
    [{ prompt: 'a', logit_bias: { '1e3': 1 } }, 'logit_bias', 'whole numbers'],
    [{ prompt: 'a', logit_bias: { '1\n': 'x' } }, 'logit_bias', 'whole numbers'],
    [{ prompt: 'a', logit_bias: JSON.parse('{"__proto__":1}') }, 'logit_bias', 'whole numbers'],
    [
      { prompt: 'a', logit_bias: { 5: 101 } },
      'logit_bias.5',
      'logit_bias.5 is 101, but must be a number from -100 to 100.',
    ],
    [{ prompt: 'a', logit_bias: { 5: -100.5 } }, 'logit_bias.5', 'from -100 to 100'],
    [{ prompt: 'a', logit_bias: { 5: Number.NaN } }, 'logit_bias.5', 'from -100 to 100'],
    [{ prompt: 'a', logit_bias: JSON.parse('{"5":1e999}') }, 'logit_bias.5', 'from -100 to 100'],
    [{ prompt: 'a', logit_bias: { 5: null } }, 'logit_bias.5', 'logit_bias.5 is null'],
    [{ prompt: 'a', logit_bias: [1] }, 'logit_bias', 'an object of at most 1024 entries'],
    [
      {
        prompt: 'a',
        logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, token) => [token, 1])),
      },
      'logit_bias',
      'an object of at most 1024 entries',
    ],
    [{ prompt: 'a', logprobs: 5 }, 'logprobs', 'true or false'],
    [{ prompt: 'a', logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'an integer from 0 to 20'],
    [{ prompt: 'a', top_logprobs: 2 }, 'top_logprobs', 'only allowed with logprobs set to true'],
    [{ prompt: 'a', logprobs: false, top_logprobs: 0 }, 'top_logprobs', 'only allowed with logprobs'],
    [
      { prompt: 'a', format: 'xml' },
      'format',
      'format is "xml", but must be "json" or an object (a JSON Schema).',
    ],
    [{ prompt: 'a', format: '{"type":"object"}' }, 'format', 'must be "json" or an object'],
    [{ prompt: 'a', format: ['json'] }, 'format', 'must be "json" or an object'],
    [{ prompt: 'a', format: true }, 'format', 'must be "json" or an object'],
    [{ prompt: 'a', grammar: '' }, 'grammar', 'a string of at least 1 character'],
    [{ prompt: 'a', format: 'json', grammar: 'root ::= "a"' }, 'grammar', 'at most one of them'],
    [{ prompt: 'a', think: 'much' }, 'think', 'true or false or one of "low", "medium", "high"'],
    [{ prompt: 'a', timeout_ms: 0 }, 'timeout_ms', 'at least 1'],
    [{ prompt: 'a', raw: 'yes' }, 'raw', 'true or false'],
    [{ prompt: 'a', model: 'nope' }, 'model', ''],
    ['text', undefined, 'The body is "text", but must be an object.'],
    [null, undefined, 'The body is null, but must be an object.'],
    [[], undefined, 'The body is [], but must be an object.'],
    [undefined, undefined, 'The body is not given, but must be an object.'],
  ])('is refused: %j', (body, param, message) => {
    const refused = refusal(body);
    expect(refused.param).toBe(param);
    expect(refused.message).toContain(message);
  });

  it.each([
    [{ prompt: nestedArrays(10_000) }, 'prompt', `prompt is ${'['.repeat(60)}…, but must be a string`],
    [{ prompt: 'a', format: nestedArrays(10_000) }, 'format', 'must be "json" or an object'],
    [
      { prompt: 'a', format: { anyOf: nestedArrays(10_000) } },
      'format',
      'format is nested too deeply: at most 128 levels are allowed.',
    ],
    [{ prompt: 'a', logit_bias: { 5: nestedArrays(10_000) } }, 'logit_bias.5', `is ${'['.repeat(60)}…, but`],
  ])('is refused in good time however deeply it is nested: %#', (body, param, message) => {
    const startedAt = cpuMs();
    const refused = refusal(body);
    expect(cpuMs() - startedAt).toBeLessThan(1000);
    expect(refused.param).toBe(param);
    expect(refused.message).toContain(message);
  });
});

const weather = {
  name: 'get_weather',
  description: 'The weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const clock = { name: 'clock' };
const user = { role: 'user', content: 'hi' };
const call = { id: 'call_1', name: 'get_weather', arguments: { city: 'Paris' } };
const assistant = { role: 'assistant', content: '', tool_calls: [call] };
const result = { role: 'tool', content: '18 °C', tool_call_id: 'call_1' };
const withTools = (fields: object) => ({ prompt: 'a', tools: [weather, clock], ...fields });

describe('the tools of a native body', () => {
  it('are taken as they are; the model decides unless it is told', () => {
    expect(parse(withTools({})).request.tools).toEqual({ tools: [weather, clock], choice: 'auto' });
    for (const choice of ['auto', 'none', 'required', { name: 'clock' }])
      expect(parse(withTools({ tool_choice: choice })).request.tools).toMatchObject({ choice });
  });

  it('are strict where they say so', () => {
    const tools = [
      { ...weather, strict: true },
      { ...clock, strict: false },
    ];
    expect(parse(withTools({ tools })).request.tools?.tools).toEqual([{ ...weather, strict: true }, clock]);
  });

  it('may stand beside a format while none may be called', () => {
    const { request } = parse(withTools({ tool_choice: 'none', format: 'json' }));
    expect(request).toMatchObject({ output: { kind: 'json' }, tools: { choice: 'none' } });
  });

  it.each([
    [{ tools: [] }, 'tools', 'a list of 1 to 128 entries'],
    [{ tools: Array.from({ length: 129 }, (_, index) => ({ name: `t${index}` })) }, 'tools', '1 to 128'],
    [{ tools: weather }, 'tools', 'a list of 1 to 128 entries'],
    [{ tools: [{}] }, 'tools[0].name', 'tools[0].name is missing. It must be a name of 1 to 64 letters'],
    [{ tools: [{ name: '' }] }, 'tools[0].name', 'a name of 1 to 64 letters, digits, underscores, dots'],
    [{ tools: [{ name: 'get weather' }] }, 'tools[0].name', 'tools[0].name is "get weather", but must be'],
    [{ tools: [{ name: 'x'.repeat(65) }] }, 'tools[0].name', '1 to 64'],
    [
      { tools: [clock, weather, clock] },
      'tools[2].name',
      'tools[2].name is "clock", as that of another tool',
    ],
    [{ tools: [{ ...clock, type: 'function' }] }, 'tools[0].type', 'tools[0].type is not known'],
    [{ tools: [{ ...clock, parameters: 'none' }] }, 'tools[0].parameters', 'an object (the JSON Schema of'],
    [{ tools: [{ ...clock, parameters: [] }] }, 'tools[0].parameters', 'an object (the JSON Schema of'],
    [
      { tools: [clock, { ...weather, parameters: { type: 'string' } }] },
      'tools[1].parameters.type',
      'tools[1].parameters.type is "string", but must be "object"',
    ],
    [
      { tools: [{ ...clock, parameters: { a: nestedArrays(10_000) } }] },
      'tools[0].parameters',
      'nested too deeply',
    ],
    [{ tools: undefined, tool_choice: 'auto' }, 'tool_choice', 'tool_choice is only allowed with tools.'],
    [
      { tool_choice: 'any' },
      'tool_choice',
      'tool_choice is "any", but must be one of "auto", "none", "required" or {"name": …} with the name of a tool.',
    ],
    [{ tool_choice: { name: 'clock', type: 'function' } }, 'tool_choice.type', 'is not known'],
    [
      { tool_choice: { name: 'nope' } },
      'tool_choice.name',
      'tool_choice.name is "nope", but the tools are get_weather, clock.',
    ],
    [{ raw: true }, 'tools', 'tools are not allowed with raw'],
  ])('are refused: %#', (fields, param, message) => {
    const { tools, ...rest } = withTools(fields);
    const refused = refusal(tools === undefined ? rest : { tools, ...rest });
    expect(refused.param).toBe(param);
    expect(refused.message).toContain(message);
  });
});

it.each(['auto', 'none', 'required'])('may be asked for with a format beside them (%s)', (tool_choice) => {
  expect(parse(withTools({ format: 'json', tool_choice })).request).toMatchObject({
    output: { kind: 'json' },
    tools: { choice: tool_choice },
  });
});

describe('calls and their answers in messages', () => {
  const conversation = (...messages: object[]) => ({ messages: [user, ...messages] });

  it('become those of the core', () => {
    expect(parse(conversation(assistant, result, user)).request.input).toEqual({
      kind: 'chat',
      messages: [
        user,
        {
          role: 'assistant',
          content: '',
          toolCalls: [{ id: 'call_1', name: 'get_weather', arguments: '{"city":"Paris"}' }],
        },
        { role: 'tool', content: '18 °C', toolCallId: 'call_1' },
        user,
      ],
    });
  });

  it('are matched by id, else in order, and may stay without an answer', () => {
    const three = { ...assistant, tool_calls: ['a', 'b', 'c'].map((id) => ({ ...call, id })) };
    const answers = [
      { role: 'tool', content: '1', tool_call_id: 'b' },
      { role: 'tool', content: '2' },
    ];
    const { input } = parse(conversation(three, ...answers, user, assistant)).request;
    expect(input).toMatchObject({
      messages: [{}, {}, { toolCallId: 'b' }, { toolCallId: 'a' }, {}, { toolCalls: [{ id: 'call_1' }] }],
    });
  });

  it.each([
    [
      [result],
      'messages[1].role',
      'messages[1].role is "tool", but only an assistant’s message with tool_calls',
    ],
    [[{ role: 'assistant', content: 'hm' }, result], 'messages[2].role', 'only an assistant’s message'],
    [[assistant, user, result], 'messages[3].role', 'only an assistant’s message'],
    [
      [assistant, { ...result, tool_call_id: 'call_2' }],
      'messages[2].tool_call_id',
      'messages[2].tool_call_id is "call_2", but the calls before it are "call_1".',
    ],
    [[assistant, result, result], 'messages[3].tool_call_id', 'has its answer already'],
    [[assistant, result, { role: 'tool', content: '' }], 'messages[3]', 'answers no call'],
    [[{ ...user, tool_calls: [call] }], 'messages[1].tool_calls', 'only allowed with role "assistant"'],
    [[{ ...user, tool_call_id: 'call_1' }], 'messages[1].tool_call_id', 'only allowed with role "tool"'],
    [[{ ...assistant, tool_calls: [] }], 'messages[1].tool_calls', 'a list of 1 to 128 entries'],
    [[{ ...assistant, tool_calls: [call, call] }], 'messages[1].tool_calls[1].id', 'Each needs its own'],
    [
      [{ ...assistant, tool_calls: [{ ...call, arguments: '{}' }] }],
      'messages[1].tool_calls[0].arguments',
      'messages[1].tool_calls[0].arguments is "{}", but must be an object.',
    ],
    [
      [{ ...assistant, tool_calls: [{ ...call, arguments: { a: nestedArrays(10_000) } }] }],
      'messages[1].tool_calls[0].arguments',
      'nested too deeply',
    ],
    [[{ role: 'assistant', tool_calls: [call] }], 'messages[1].content', 'messages[1].content is missing'],
  ])('are refused: %#', (messages, param, message) => {
    const refused = refusal(conversation(...messages));
    expect(refused.param).toBe(param);
    expect(refused.message).toContain(message);
  });
});
