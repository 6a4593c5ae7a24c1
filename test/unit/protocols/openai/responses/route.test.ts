import { describe, expect, it } from 'vitest';
import type { TokenizeRequest } from '../../../../../src/core/backend.ts';
import { inputTokensRoute, respondRoute } from '../../../../../src/protocols/openai/responses/route.ts';
import { ResponsesBody } from '../../../../../src/protocols/openai/responses/schema.ts';
import type { QueryContext } from '../../../../../src/protocols/protocol.ts';
import { nestedArrays } from '../../../../support/native-body.ts';
import { refusalWith } from '../../../../support/protocol-answers.ts';
import {
  messagesOf,
  parseResponses as parse,
  responsesRefusal as refusal,
} from '../../../../support/responses-body.ts';

describe('POST /v1/responses', () => {
  const weather = { type: 'function', name: 'get_weather', parameters: { type: 'object' } };
  const clock = { type: 'function', name: 'clock' };
  const schema = { type: 'object', properties: { a: { type: 'integer' } } };

  describe('the body of a response', () => {
    it('is one user message, all else as the model does', () => {
      expect(parse({})).toMatchObject({ delivery: 'whole', timeoutMs: undefined, priority: undefined });
      expect(parse({}).request).toEqual({
        id: 'gen_000000000000000000000001',
        model: 'm',
        input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
        sampling: {},
        limits: { stop: [] },
      });
    });

    it('has its instructions in front', () => {
      expect(messagesOf('hi', { instructions: 'Be short.' })).toEqual([
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'hi' },
      ]);
      expect(messagesOf('hi', { instructions: '' })).toHaveLength(1);
      const developer = { role: 'developer', content: 'Be kind.' };
      expect(messagesOf([developer, { role: 'user', content: 'hi' }], { instructions: 'Be short.' })).toEqual(
        [
          { role: 'system', content: 'Be short.\n\nBe kind.' },
          { role: 'user', content: 'hi' },
        ],
      );
    });

    it('has what the developer says later as a reminder, and turns of the user as one', () => {
      const asks = { role: 'user', content: 'hi' };
      const developer = { role: 'developer', content: 'Be kind.' };
      expect(messagesOf([asks, developer, asks], { instructions: 'Be short.' })).toEqual([
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'hi\n\n<system-reminder>\nBe kind.\n</system-reminder>\n\nhi' },
      ]);
    });

    it('counts null as absent', () => {
      const nulls = Object.keys(ResponsesBody.properties)
        .filter((field) => field !== 'model' && field !== 'input')
        .map((field) => [field, null]);
      expect(nulls.length).toBeGreaterThan(20);
      const refused = { previous_response_id: null, conversation: null, prompt: null, max_tokens: null };
      expect(parse({ ...Object.fromEntries(nulls), ...refused }).request).toEqual(parse({}).request);
      expect(parse({ text: { format: null }, reasoning: { effort: null } }).request).toEqual(
        parse({}).request,
      );
    });

    it('sets how tokens are chosen and when they end', () => {
      const { request } = parse({
        temperature: 0.5,
        top_p: 0.9,
        top_k: 40,
        min_p: 0.1,
        seed: 7,
        presence_penalty: 1,
        frequency_penalty: -1,
        repetition_penalty: 1.1,
        stop: 'x',
        min_tokens: 2,
        ignore_eos: true,
        max_output_tokens: 9,
      });
      expect(request).toMatchObject({
        sampling: {
          temperature: 0.5,
          topP: 0.9,
          topK: 40,
          minP: 0.1,
          seed: 7,
          presencePenalty: 1,
          frequencyPenalty: -1,
          repeatPenalty: 1.1,
        },
        limits: { maxTokens: 9, stop: ['x'], minTokens: 2, ignoreEos: true },
      });
      expect(parse({ top_k: -1, top_p: 0, seed: -1 }).request.sampling).toEqual({
        topK: 0,
        topP: 1e-6,
        seed: 2_147_483_647,
      });
      expect(parse({ max_output_tokens: 5000 }).request.limits.maxTokens).toBe(1000);
      expect(parse({ ignore_eos: false, min_tokens: 0 }).request.limits).toEqual({ stop: [] });
    });

    it.each([
      [undefined, undefined],
      ['none', false],
      ['minimal', 'low'],
      ['low', 'low'],
      ['medium', 'medium'],
      ['high', 'high'],
      ['xhigh', 'high'],
      ['max', 'high'],
    ])('thinks with effort %j as %j', (effort, thinking) => {
      expect(parse({ reasoning: { effort, summary: 'auto' } }).request.thinking).toBe(thinking);
    });

    it.each([
      [{ type: 'text' }, undefined],
      [{ type: 'json_object' }, { kind: 'json' }],
      [
        { type: 'json_schema', name: 'a', schema, strict: true, description: null },
        { kind: 'json-schema', schema },
      ],
    ])('has the format %j', (format, output) => {
      expect(parse({ text: { format, verbosity: 'low' } }).request.output).toEqual(output);
    });

    it('may ask for a format beside tools: what goes together is for the backend to say', () => {
      const { request } = parse({ text: { format: { type: 'json_object' } }, tools: [clock] });
      expect(request).toMatchObject({ output: { kind: 'json' }, tools: { choice: 'auto' } });
    });

    it('asks for log-probabilities by include or by their number', () => {
      const include = ['message.output_text.logprobs'];
      expect(parse({ include }).request.logprobs).toEqual({ top: 0 });
      expect(parse({ include, top_logprobs: 3 }).request.logprobs).toEqual({ top: 3 });
      expect(parse({ top_logprobs: 3 }).request.logprobs).toEqual({ top: 3 });
      expect(parse({ top_logprobs: 0, include: ['other'] }).request.logprobs).toBeUndefined();
    });

    it('passes on unknown fields and the end user, and nothing else', () => {
      const { request } = parse({ vendor: { a: 1 }, user: 'u', metadata: { a: 'b' }, store: true });
      expect(request.extras).toEqual({ vendor: { a: 1 }, user: 'u' });
    });
  });

  describe('the tools of a response', () => {
    const withTools = (fields: object) => parse({ tools: [weather, clock], ...fields }).request.tools;
    const tools = [{ name: 'get_weather', parameters: { type: 'object' } }, { name: 'clock' }];

    it('are strict where they say so', () => {
      const given = {
        tools: [
          { ...weather, strict: true },
          { ...clock, strict: false },
        ],
      };
      expect(withTools(given)?.tools).toEqual([{ ...tools[0], strict: true }, tools[1]]);
    });

    it.each([
      [undefined, { tools, choice: 'auto' }],
      ['auto', { tools, choice: 'auto' }],
      ['none', { tools, choice: 'none' }],
      ['required', { tools, choice: 'required' }],
      [
        { type: 'function', name: 'clock' },
        { tools, choice: { name: 'clock' } },
      ],
      [
        { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'clock' }] },
        { tools: [{ name: 'clock' }], choice: 'required' },
      ],
    ])('are chosen by %j', (tool_choice, use) => {
      expect(withTools({ tool_choice })).toEqual(use);
    });

    it('are called one by one where parallel calls are forbidden', () => {
      expect(withTools({ parallel_tool_calls: false })).toMatchObject({ single: true });
      expect(withTools({ parallel_tool_calls: true })).not.toHaveProperty('single');
      expect(withTools({ parallel_tool_calls: false, tool_choice: 'none' })).not.toHaveProperty('single');
    });

    it('may be none', () => {
      expect(
        parse({ tools: [], tool_choice: 'auto', parallel_tool_calls: false }).request.tools,
      ).toBeUndefined();
      expect(parse({ tool_choice: 'none' }).request.tools).toBeUndefined();
    });
  });

  describe('a body that cannot be answered', () => {
    it.each([
      [{ model: 7 }, 'model', 'model is 7'],
      [{ input: null }, 'input', 'input is missing'],
      [{ input: '' }, 'input', 'a string of at least 1 character'],
      [{ input: [] }, 'input', 'a list of at least 1 entry'],
      [{ input: ['a'] }, 'input[0]', 'an object'],
      [{ temperature: '1' }, 'temperature', 'a number from 0 to 2'],
      [{ temperature: Number.NaN }, 'temperature', 'a number from 0 to 2'],
      [{ max_output_tokens: 0 }, 'max_output_tokens', 'an integer of at least 1'],
      [{ max_output_tokens: 1.5 }, 'max_output_tokens', 'an integer of at least 1'],
      [{ top_logprobs: 21 }, 'top_logprobs', 'from 0 to 20'],
      [{ stream: 'true' }, 'stream', 'true or false'],
      [{ stop: ['a', ''] }, 'stop[1]', 'a string of at least 1 character'],
      [{ metadata: { a: 1 } }, 'metadata.a', 'a string'],
      [{ reasoning: { effort: 'most' } }, 'reasoning.effort', '"none", "minimal", "low"'],
      [{ reasoning: 'low' }, 'reasoning', 'an object'],
      [{ text: { format: 'json' } }, 'text.format', 'an object'],
      [{ text: { format: { type: 'xml' } } }, 'text.format.type', '"text", "json_object", "json_schema"'],
      [
        { text: { format: { type: 'json_schema', name: 'a' } } },
        'text.format.schema',
        'text.format.schema is missing',
      ],
      [
        { text: { format: { type: 'json_schema', schema } } },
        'text.format.name',
        'text.format.name is missing',
      ],
      [{ vendor: nestedArrays(10_000) }, 'vendor', 'nested too deeply'],
      [{ input: [nestedArrays(10_000)] }, 'input', 'nested too deeply'],
      [{ tools: [{ ...weather, parameters: { a: nestedArrays(10_000) } }] }, 'tools', 'nested too deeply'],
      [{ tools: clock }, 'tools', 'a list of at most 128 entries'],
      [{ tools: [{ name: 'a' }] }, 'tools[0].type', 'tools[0].type is missing'],
      [{ tools: [{ type: 'function' }] }, 'tools[0].name', 'tools[0].name is missing'],
      [{ tools: [{ type: 'function', function: clock }] }, 'tools[0].name', 'tools[0].name is missing'],
      [{ tools: [clock, clock] }, 'tools[1].name', 'as that of another tool'],
      [
        { tools: [{ ...clock, parameters: { type: 'array' } }] },
        'tools[0].parameters.type',
        'must be "object"',
      ],
      [{ tools: [clock], tool_choice: 'any' }, 'tool_choice', '"auto", "none", "required"'],
      [
        { tools: [clock], tool_choice: { type: 'function' } },
        'tool_choice.name',
        'tool_choice.name is missing',
      ],
      [
        { tools: [clock], tool_choice: { type: 'function', name: 'x' } },
        'tool_choice.name',
        'the tools are clock',
      ],
      [
        { tools: [clock], tool_choice: { type: 'telepathy' } },
        'tool_choice.type',
        '"function", "custom" or "allowed_tools"',
      ],
      [
        { tools: [clock], tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [weather] } },
        'tool_choice.tools[0].name',
        'tool_choice.tools[0].name is "get_weather"',
      ],
      [{ tool_choice: 'required' }, 'tool_choice', 'there are no tools'],
      [{ tool_choice: { type: 'function', name: 'x' } }, 'tool_choice.name', 'there are no tools'],
    ])('names the fault: %#', (fields, param, words) => {
      const refused = refusal(fields);
      expect(refused).toMatchObject({ code: 'invalid_request', param });
      expect(refused.message).toContain(words);
    });

    it.each([
      [{ previous_response_id: 'resp_1' }, 'previous_response_id', 'Send the whole conversation in input'],
      [{ conversation: 'conv_1' }, 'conversation', 'Send the whole conversation in input'],
      [{ prompt: { id: 'pmpt_1' } }, 'prompt', 'no prompt templates are kept here'],
      [{ background: true }, 'background', 'set stream to true'],
      [{ truncation: 'auto' }, 'truncation', 'nothing of a conversation is cut here'],
      [{ context_management: [{ type: 'compaction' }] }, 'context_management', 'nothing is compacted'],
      [{ moderation: { model: 'x' } }, 'moderation', 'nothing is moderated'],
      [{ messages: [] }, 'messages', 'Here it is input.'],
      [{ max_tokens: 5 }, 'max_tokens', 'Here it is max_output_tokens.'],
      [{ response_format: { type: 'text' } }, 'response_format', 'Here it is text.format.'],
      [{ n: 2 }, 'n', 'one response'],
      [{ tools: [{ type: 'telepathy' }] }, 'tools[0].type', 'Offer a function, and run it yourself'],
      [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]', 'Send the item itself'],
      [{ input: [{ id: 'msg_1' }] }, 'input[0]', 'Send the item itself'],
      [{ input: [{ type: 'compaction', id: 'a' }] }, 'input[0].type', 'input[0].type is "compaction"'],
    ])('says why the official API can and this one cannot: %#', (fields, param, words) => {
      const refused = refusal(fields);
      expect(refused).toMatchObject({ code: 'unsupported_parameter', param });
      expect(refused.message).toContain(words);
    });

    it('asks for a model that is not there', () => {
      expect(refusal({ model: 'other' }).code).toBe('model_not_found');
    });

    it.each([[undefined], [null], ['text'], [[]], [7]])('is no object: %j', (body) => {
      expect(refusalWith(respondRoute, body)).toMatchObject({ code: 'invalid_request' });
    });
  });
});

describe('POST /v1/responses/input_tokens', () => {
  it('counts the prompt that a response would have, instructions and tools included', async () => {
    const asked: [string, TokenizeRequest][] = [];
    const house = {
      requireModel: () => ({ id: 'm' }),
      tokenize: async (model: string, request: TokenizeRequest) => {
        asked.push([model, request]);
        return [1, 2, 3];
      },
    } as unknown as QueryContext;
    const body = {
      model: 'alias',
      instructions: 'Be brief.',
      input: 'hi',
      tools: [{ type: 'function', name: 'clock', parameters: { type: 'object' } }],
    };
    const answer = await inputTokensRoute.answer({ body, params: {}, headers: {} }, house);
    expect(answer).toEqual({ object: 'response.input_tokens', input_tokens: 3 });
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'hi' },
    ];
    expect(asked).toMatchObject([
      ['m', { input: { kind: 'chat', messages }, tools: { tools: [{ name: 'clock' }] } }],
    ]);
  });
});
