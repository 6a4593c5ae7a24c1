import { describe, expect, it } from 'vitest';
import { renameField } from '../../../../../src/protocols/field-errors.ts';
import { chatRoute, fieldNames } from '../../../../../src/protocols/openai/chat/route.ts';
import { nestedArrays } from '../../../../support/native-body.ts';
import { parseWith, refusalWith } from '../../../../support/protocol-answers.ts';

describe('POST /v1/chat/completions', () => {
  const USER = { role: 'user', content: 'hi' };
  const parse = (fields: object) => parseWith(chatRoute, { model: 'm', messages: [USER], ...fields });
  const refusal = (fields: object) => refusalWith(chatRoute, { model: 'm', messages: [USER], ...fields });

  describe('a chat body', () => {
    it('becomes a request that leaves to the model what it does not say', () => {
      const parsed = parse({});
      expect(parsed).toMatchObject({ delivery: 'whole', timeoutMs: undefined, priority: undefined });
      expect(parsed.requests).toEqual([
        {
          id: 'gen_000000000000000000000001',
          model: 'm',
          input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
          sampling: {},
          limits: { stop: [] },
        },
      ]);
    });

    it('carries every field', () => {
      const { request, delivery } = parse({
        max_completion_tokens: 9,
        max_tokens: 8,
        temperature: 0,
        top_p: 0.5,
        top_k: 40,
        min_p: 0.1,
        seed: 2_147_483_647,
        presence_penalty: -2,
        frequency_penalty: 2,
        repetition_penalty: 1.1,
        logit_bias: { 7: -100, 3: 5 },
        logprobs: true,
        top_logprobs: 20,
        stop: 'x',
        min_tokens: 2,
        ignore_eos: true,
        reasoning_effort: 'medium',
        stream: true,
      });
      expect(delivery).toBe('stream');
      expect(request).toMatchObject({
        sampling: {
          temperature: 0,
          topP: 0.5,
          topK: 40,
          minP: 0.1,
          seed: 2_147_483_647,
          presencePenalty: -2,
          frequencyPenalty: 2,
          repeatPenalty: 1.1,
          logitBias: [
            { token: 3, bias: 5 },
            { token: 7, bias: -100 },
          ],
        },
        limits: { maxTokens: 9, stop: ['x'], minTokens: 2, ignoreEos: true },
        logprobs: { top: 20 },
        thinking: 'medium',
      });
      expect(request).not.toHaveProperty('extras');
    });

    it('takes null for absent, wherever a field is known', () => {
      const nulls = Object.fromEntries(
        [
          ...['max_completion_tokens', 'max_tokens', 'temperature', 'top_p', 'top_k', 'seed', 'stop', 'n'],
          ...['stream', 'stream_options', 'logprobs', 'top_logprobs', 'logit_bias', 'response_format'],
          ...[
            'tools',
            'tool_choice',
            'parallel_tool_calls',
            'reasoning_effort',
            'audio',
            'functions',
            'user',
          ],
          'unknown',
        ].map((name) => [name, null]),
      );
      expect(parse(nulls).requests).toEqual(parse({}).requests);
      const { request } = parse({
        stream: true,
        stream_options: { include_usage: null },
        tools: [{ type: 'function', function: { name: 'a', description: null, strict: null } }],
        messages: [{ ...USER, name: null, tool_calls: null, refusal: null, function_call: null }],
      });
      expect(request.tools?.tools).toEqual([{ name: 'a' }]);
    });

    it('has strict tools where they say so', () => {
      const tool = (name: string, strict: boolean) => ({ type: 'function', function: { name, strict } });
      const { request } = parse({ tools: [tool('a', true), tool('b', false)] });
      expect(request.tools?.tools).toEqual([{ name: 'a', strict: true }, { name: 'b' }]);
    });

    it.each([
      [{ max_tokens: 5000 }, 1000],
      [{ max_completion_tokens: 5000, max_tokens: 1 }, 1000],
      [{ max_tokens: 10 }, 10],
    ])('lowers what the context does not hold: %j is %i', (fields, maxTokens) => {
      expect(parse(fields).request.limits).toEqual({ maxTokens, stop: [] });
    });

    it.each([
      [0, 0],
      [42, 42],
      [-1, 2_147_483_647],
      [2_147_483_648, 0],
      [-(2 ** 63), 0],
      [9_007_199_254_740_991, 2_147_483_647],
    ])('folds the seed %i into %i', (seed, folded) => {
      expect(parse({ seed }).request.sampling.seed).toBe(folded);
    });

    it.each([
      [{ top_k: -1 }, { topK: 0 }],
      [{ top_k: 0 }, { topK: 0 }],
      [{ top_p: 0 }, { topP: 1e-6 }],
      [{ logit_bias: {} }, {}],
    ])('samples with %j as with %j', (fields, sampling) => {
      expect(parse(fields).request.sampling).toEqual(sampling);
    });

    it.each([
      ['none', false],
      ['minimal', 'low'],
      ['low', 'low'],
      ['high', 'high'],
      ['xhigh', 'high'],
    ])('reasoning_effort %s is %s', (reasoning_effort, thinking) => {
      expect(parse({ reasoning_effort }).request.thinking).toBe(thinking);
    });

    it.each([
      [{ chat_template_kwargs: { enable_thinking: false } }, false, 'chat_template_kwargs.enable_thinking'],
      [{ chat_template_kwargs: { thinking: true } }, true, 'chat_template_kwargs.thinking'],
      [{ enable_thinking: false }, false, 'enable_thinking'],
      [{ enable_thinking: false, reasoning_effort: 'low' }, 'low', undefined],
      [{ reasoning: { effort: 'none', exclude: true } }, false, 'reasoning.effort'],
      [{ reasoning: { enabled: true } }, true, 'reasoning.enabled'],
      [{ reasoning: { max_tokens: 2000 } }, undefined, undefined],
      [{ chat_template_kwargs: { enable_thinking: 'auto', style: null } }, undefined, undefined],
    ])('with %j thinking is %s', (fields, thinking, field) => {
      const parsed = parseWith(chatRoute, { messages: [{ role: 'user', content: 'a' }], ...fields });
      expect([parsed.requests[0]?.thinking, parsed.fieldNames?.think]).toEqual([thinking, field]);
      expect(parsed.requests[0]?.thinkingIsDefault).toBeUndefined();
      const { reasoning_effort: _, ...others } = { reasoning_effort: '', ...fields };
      expect(parsed.requests[0]?.extras).toEqual(others);
    });

    it('ends at any of the stop strings, of which clients that complete code send more than OpenAI’s own service takes', () => {
      const stop = Array.from({ length: 14 }, (_, index) => `<|${index}|>`);
      expect(parse({ stop }).request.limits.stop).toEqual(stop);
      expect(refusal({ stop: Array.from({ length: 65 }, String) })).toMatchObject({ param: 'stop' });
    });

    it('asks for each of n answers by itself, with seeds that count up', () => {
      const { requests } = parse({ n: 3, seed: 2_147_483_646 });
      expect(requests.map(({ id }) => id)).toEqual(
        [1, 2, 3].map((digit) => `gen_${String(digit).padStart(24, '0')}`),
      );
      expect(requests.map(({ sampling }) => sampling.seed)).toEqual([2_147_483_646, 2_147_483_647, 0]);
      expect(parse({ n: 2 }).requests.map(({ sampling }) => sampling)).toEqual([{}, {}]);
    });

    it.each([
      [{ type: 'text' }, undefined],
      [{ type: 'json_object' }, { kind: 'json' }],
      [{ type: 'json_schema', json_schema: { name: 'a' } }, { kind: 'json' }],
      [
        { type: 'json_schema', json_schema: { name: 'a', strict: true, schema: { enum: [null] } } },
        { kind: 'json-schema', schema: { enum: [null] } },
      ],
    ])('response_format %j is %j', (response_format, output) => {
      expect(parse({ response_format }).request.output).toEqual(output);
    });

    it('passes a format on beside tools: backends refuse what they cannot', () => {
      const tools = [{ type: 'function', function: { name: 'a' } }];
      const { request } = parse({ tools, response_format: { type: 'json_object' } });
      expect(request).toMatchObject({ output: { kind: 'json' }, tools: { choice: 'auto' } });
    });

    it('passes on unknown fields, and those that name the end user', () => {
      const { request } = parse({
        guided_regex: 'a+',
        chat_template_kwargs: { enable_thinking: false },
        user: 'me',
        metadata: { a: '1' },
        __proto__hidden: 1,
      });
      expect(request.extras).toEqual({
        guided_regex: 'a+',
        chat_template_kwargs: { enable_thinking: false },
        user: 'me',
        __proto__hidden: 1,
      });
      const polluting = JSON.parse(
        '{"model":"m","messages":[{"role":"user","content":"a"}],"__proto__":{"x":1}}',
      );
      expect(Reflect.ownKeys(parseWith(chatRoute, polluting).request.extras ?? {})).toEqual(['__proto__']);
      expect(Reflect.get({}, 'x')).toBeUndefined();
    });

    it.each([
      [{ unknown: nestedArrays(5000) }, 'unknown'],
      [
        {
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'a', schema: { a: nestedArrays(5000) } },
          },
        },
        'response_format.json_schema.schema',
      ],
      [
        { tools: [{ type: 'function', function: { name: 'a', parameters: { a: nestedArrays(5000) } } }] },
        'tools[0].function.parameters',
      ],
      [{ seed: 1.5 }, 'seed'],
      [{ seed: Number.POSITIVE_INFINITY }, 'seed'],
      [{ n: 1e9 }, 'n'],
      [{ model: '' }, 'model'],
      [{ messages: undefined }, 'messages'],
    ])('is rejected with the field: %#', (fields, param) => {
      expect(refusal(fields)).toMatchObject({ code: 'invalid_request', param });
    });

    it('may be nested to any depth where nothing is read', () => {
      expect(
        parse({ metadata: { a: nestedArrays(5000) }, prediction: nestedArrays(5000) }).request.model,
      ).toBe('m');
    });
  });

  describe('tools', () => {
    const tool = (name: string, more: object = {}) => ({ type: 'function', function: { name, ...more } });
    const named = (name: string) => ({ type: 'function', function: { name } });

    it('carry their description and schema, as it is', () => {
      const parameters = { type: 'object', properties: { a: { enum: ['x', null] } }, default: null };
      expect(
        parse({ tools: [tool('a', { description: 'b', parameters, strict: true })] }).request.tools,
      ).toEqual({
        tools: [{ name: 'a', description: 'b', parameters, strict: true }],
        choice: 'auto',
      });
    });

    it.each([
      ['auto', 'auto'],
      ['none', 'none'],
      ['required', 'required'],
      [named('b'), { name: 'b' }],
    ])('tool_choice %j is %j', (tool_choice, choice) => {
      const { request } = parse({ tools: [tool('a'), tool('b')], tool_choice });
      expect(request.tools).toEqual({ tools: [{ name: 'a' }, { name: 'b' }], choice });
    });

    it('are those that are allowed', () => {
      const allowed_tools = { mode: 'required', tools: [named('b'), named('b')] };
      const { request } = parse({
        tools: [tool('a'), tool('b')],
        tool_choice: { type: 'allowed_tools', allowed_tools },
      });
      expect(request.tools).toEqual({ tools: [{ name: 'b' }], choice: 'required' });
    });

    it('are called one at a time without parallel_tool_calls', () => {
      expect(parse({ tools: [tool('a')], parallel_tool_calls: false }).request.tools).toMatchObject({
        single: true,
      });
      expect(parse({ tools: [tool('a')], parallel_tool_calls: true }).request.tools).not.toHaveProperty(
        'single',
      );
    });

    it.each([[{ tools: [] }], [{ tools: [], tool_choice: 'auto' }], [{ tool_choice: 'none' }]])(
      'are none in %j',
      (fields) => {
        expect(parse(fields).request).not.toHaveProperty('tools');
      },
    );
  });
});

describe('errors about native fields', () => {
  it.each([
    ['think', 'reasoning_effort'],
    ['temperature', 'temperature'],
    ['format', 'response_format'],
    ['format.properties.a', 'response_format.json_schema.schema.properties.a'],
    ['messages[12].images', 'messages[12].content.image_url'],
    ['messages[0].role', 'messages[0].role'],
    ['messages[1].tool_calls[0].arguments', 'messages[1].tool_calls[0].function.arguments'],
    ['tools', 'tools'],
    ['tools[3].parameters.properties.name', 'tools[3].function.parameters.properties.name'],
    ['tool_choice', 'tool_choice'],
    ['tool_choice.name', 'tool_choice.function.name'],
    ['constructor', 'constructor'],
    ['', ''],
  ])('the native field %s is %s in a chat', (native, named) => {
    expect(renameField(fieldNames, native)).toBe(named);
  });
});
