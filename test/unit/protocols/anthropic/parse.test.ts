import { describe, expect, it } from 'vitest';
import { messagesRoute } from '../../../../src/protocols/anthropic/protocol.ts';
import { parseMessage as parse, messageRefusal as refusal } from '../../../support/anthropic-body.ts';
import { nestedArrays } from '../../../support/native-body.ts';
import { parseWith, refusalWith } from '../../../support/protocol-answers.ts';

const weather = {
  name: 'get_weather',
  description: 'The weather of a city.',
  input_schema: { type: 'object', properties: { city: { type: 'string' } } },
};
const clock = { name: 'clock', input_schema: { type: 'object' } };
const schema = { type: 'object', properties: { a: { type: 'integer' } } };
const withTools = (fields: object) => ({ tools: [weather, clock], ...fields });

describe('a body of /v1/messages', () => {
  it('becomes a request, whole unless it asks for a stream', () => {
    const { request, requests, delivery } = parse();
    expect(requests).toHaveLength(1);
    expect(delivery).toBe('whole');
    expect(request).toEqual({
      id: 'gen_000000000000000000000001',
      model: 'm',
      input: { kind: 'chat', messages: [{ role: 'user', content: 'hi' }] },
      sampling: {},
      limits: { maxTokens: 10, stop: [] },
      thinking: false,
      thinkingIsDefault: true,
    });
    expect(parse({ stream: true }).delivery).toBe('stream');
    expect(parse({ stream: null }).delivery).toBe('whole');
  });

  it('sets sampling and limits, and never asks for more than the context', () => {
    const fields = { temperature: 0, top_p: 0.5, top_k: 0, stop_sequences: ['a', '\n\n'] };
    const { sampling, limits } = parse({ ...fields, max_tokens: 200_000 }).request;
    expect(sampling).toEqual({ temperature: 0, topP: 0.5, topK: 0 });
    expect(limits).toEqual({ maxTokens: 1000, stop: ['a', '\n\n'] });
  });

  it('counts null as absent, wherever a field may be absent', () => {
    const nothing = { temperature: null, top_p: null, top_k: null, stop_sequences: null, system: null };
    const tools = {
      tools: null,
      tool_choice: null,
      thinking: null,
      output_config: null,
      output_format: null,
    };
    expect(parse({ ...nothing, ...tools, container: null, mcp_servers: null }).request).toEqual(
      parse().request,
    );
    const { request } = parse({
      tools: [{ ...clock, type: null, description: null, cache_control: null }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: null },
      output_config: { effort: null, format: null },
    });
    expect(request.tools).toEqual({
      tools: [{ name: 'clock', parameters: { type: 'object' } }],
      choice: 'auto',
    });
  });

  it('passes on what nobody here knows, and drops what its own service is told', () => {
    const { request } = parse({
      seed: 7,
      my_field: { a: [1] },
      metadata: { user_id: 'me' },
      service_tier: 'auto',
      cache_control: { type: 'ephemeral' },
      context_management: { edits: [] },
      mcp_servers: [],
    });
    expect(request.extras).toEqual({ seed: 7, my_field: { a: [1] } });
  });

  it.each([
    [{ model: 5 }, 'model', 'model is 5, but must be a string'],
    [{ max_tokens: undefined }, 'max_tokens', 'max_tokens is missing. It must be an integer of at least 1.'],
    [{ max_tokens: null }, 'max_tokens', 'max_tokens is missing'],
    [{ max_tokens: 0 }, 'max_tokens', 'max_tokens is 0'],
    [{ max_tokens: -1 }, 'max_tokens', 'max_tokens is -1'],
    [{ max_tokens: 1.5 }, 'max_tokens', 'max_tokens is 1.5'],
    [{ max_tokens: '10' }, 'max_tokens', 'max_tokens is "10"'],
    [{ messages: undefined }, 'messages', 'messages is missing'],
    [{ messages: [] }, 'messages', 'messages is [], but must be a list of at least 1 entry'],
    [{ messages: 'hi' }, 'messages', 'messages is "hi"'],
    [{ temperature: 1.1 }, 'temperature', 'from 0 to 1'],
    [{ top_p: 0 }, 'top_p', 'above 0'],
    [{ top_k: -1 }, 'top_k', 'top_k is -1'],
    [{ stop_sequences: 'a' }, 'stop_sequences', 'a list'],
    [{ stop_sequences: [''] }, 'stop_sequences[0]', 'at least 1 character'],
    [{ stream: 'true' }, 'stream', 'true or false'],
    [{ container: 'c' }, 'container', 'runs no containers'],
    [{ mcp_servers: [{ url: 'x' }] }, 'mcp_servers', 'connects to no other servers'],
    [{ thread: { a: 1 } }, 'thread', 'keeps no conversations'],
    [{ compaction: {} }, 'compaction', 'as they are'],
    [{ other: nestedArrays(10_000) }, 'other', 'nested too deeply'],
  ])('is refused where a field is wrong (%#)', (fields, param, words) => {
    const refused = refusal(fields);
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });

  it.each([[null], [[]], ['x'], [5]])('is an object, never %j', (body) => {
    const refused = refusalWith(messagesRoute, body);
    expect(refused).toMatchObject({ code: 'invalid_request', param: undefined });
    expect(refused.message).toContain('The body is');
  });

  it('asks for a model that is served', () => {
    expect(refusal({ model: 'other' })).toMatchObject({ code: 'model_not_found', param: 'model' });
    const { request } = parseWith(
      messagesRoute,
      { model: 'claude', max_tokens: 5000, messages: [{ role: 'user', content: 'hi' }] },
      { requireModel: () => ({ id: 'm', contextSize: undefined }) },
    );
    expect(request).toMatchObject({ model: 'm', limits: { maxTokens: 5000 } });
  });
});

describe('tools', () => {
  it('are strict where they say so', () => {
    const { tools } = parse({
      tools: [
        { ...weather, strict: true },
        { ...clock, strict: false },
      ],
    }).request;
    expect(tools?.tools.map(({ strict }) => strict)).toEqual([true, undefined]);
  });

  it.each([
    [undefined, 'auto'],
    [{ type: 'auto' }, 'auto'],
    [{ type: 'none' }, 'none'],
    [{ type: 'any' }, 'required'],
    [{ type: 'tool', name: 'clock' }, { name: 'clock' }],
  ])('are called as tool_choice %j says', (tool_choice, choice) => {
    const { tools } = parse(withTools({ tool_choice })).request;
    const { input_schema: parameters, ...rest } = weather;
    expect(tools).toEqual({
      tools: [
        { ...rest, parameters },
        { name: 'clock', parameters: { type: 'object' } },
      ],
      choice,
    });
  });

  it('are called one at a time where that is asked', () => {
    const tool_choice = { type: 'any', disable_parallel_tool_use: true };
    expect(parse(withTools({ tool_choice })).request.tools).toMatchObject({
      choice: 'required',
      single: true,
    });
  });

  it('may be none at all', () => {
    for (const tool_choice of [undefined, { type: 'auto' }, { type: 'none' }])
      expect(parse({ tools: [], tool_choice }).request.tools).toBeUndefined();
  });

  it.each([
    [{ tools: {} }, 'tools', 'a list'],
    [{ tools: ['clock'] }, 'tools[0]', 'tools[0] is "clock", but must be an object'],
    [{ tools: [{ name: 'a' }] }, 'tools[0].input_schema', 'input_schema is missing'],
    [{ tools: [{ ...clock, name: 'a b' }] }, 'tools[0].name', '1 to 128 letters'],
    [{ tools: [clock, clock] }, 'tools[1].name', 'as that of another tool'],
    [{ tools: [{ ...clock, input_schema: { type: 'string' } }] }, 'tools[0].input_schema.type', '"object"'],
    [{ tools: [{ ...clock, input_schema: {} }] }, 'tools[0].input_schema.type', 'is not given'],
    [
      { tools: [{ ...clock, input_schema: { type: 'object', a: nestedArrays(10_000) } }] },
      'tools[0].input_schema',
      'nested too deeply',
    ],
    [
      { tools: [{ type: 'computer_20250124', name: 'computer' }] },
      'tools[0].type',
      'bash, text_editor or memory',
    ],
    [{ tools: Array(10_001).fill(clock) }, 'tools', 'at most 10000 entries'],
    [{ tool_choice: { type: 'any' } }, 'tool_choice', 'there are no tools'],
    [withTools({ tool_choice: { type: 'tool', name: 'x' } }), 'tool_choice.name', 'get_weather, clock'],
    [withTools({ tool_choice: { type: 'tool' } }), 'tool_choice.name', 'is missing'],
    [withTools({ tool_choice: 'auto' }), 'tool_choice', 'tool_choice is "auto", but must be an object'],
    [withTools({ tool_choice: { type: 'required' } }), 'tool_choice.type', '"any"'],
  ])('are refused where a field is wrong (%#)', (fields, param, words) => {
    const refused = refusal(fields);
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });
});

describe('thinking and structured output', () => {
  it.each([
    [{ type: 'enabled', budget_tokens: 1024 }, true],
    [{ type: 'enabled' }, true],
    [{ type: 'disabled' }, false],
    [{ type: 'adaptive' }, undefined],
    [{ type: 'between_tools' }, undefined],
  ])('thinking %j is the wish %j', (thinking, wish) => {
    expect(parse({ thinking }).request.thinking).toBe(wish);
  });

  it('think as hard as the effort says, where thinking is enabled', () => {
    const effortOf = (type: string, effort: string) =>
      parse({ thinking: { type }, output_config: { effort } }).request.thinking;
    expect(effortOf('enabled', 'low')).toBe('low');
    expect(effortOf('enabled', 'max')).toBe('high');
    expect(effortOf('adaptive', 'low')).toBeUndefined();
    expect(parse({ output_config: { effort: 'high' } }).request.thinking).toBe(false);
  });

  it('take a JSON Schema, under its new name or its old', () => {
    const format = { type: 'json_schema', schema };
    const output = { kind: 'json-schema', schema };
    expect(parse({ output_config: { format } }).request.output).toEqual(output);
    expect(parse({ output_format: format }).request.output).toEqual(output);
    const { request } = parse(withTools({ tool_choice: { type: 'none' }, output_config: { format } }));
    expect(request.output).toEqual(output);
  });

  it.each([
    [{ thinking: true }, 'thinking', 'an object'],
    [{ thinking: { type: 'on' } }, 'thinking.type', '"adaptive"'],
    [{ thinking: { type: 'enabled', budget_tokens: 0 } }, 'thinking.budget_tokens', 'at least 1'],
    [{ output_config: { effort: 'huge' } }, 'output_config.effort', '"xhigh"'],
    [{ output_config: { format: { type: 'json_schema' } } }, 'output_config.format.schema', 'is missing'],
    [{ output_config: { format: { type: 'json', schema } } }, 'output_config.format.type', '"json_schema"'],
    [
      { output_config: { format: { type: 'json_schema', schema: nestedArrays(10_000) } } },
      'output_config.format.schema',
      'an object (a JSON Schema)',
    ],
    [
      { output_format: { type: 'json_schema', schema: { a: nestedArrays(10_000) } } },
      'output_format.schema',
      'nested too deeply',
    ],
    [
      {
        output_format: { type: 'json_schema', schema },
        output_config: { format: { type: 'json_schema', schema } },
      },
      'output_format',
      'only one may be given',
    ],
  ])('are refused where a field is wrong (%#)', (fields, param, words) => {
    const refused = refusal(fields);
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });
});
