import { describe, expect, it } from 'vitest';
import type { GenerationEvent } from '../../../../../src/core/generation.ts';
import {
  messagesOf,
  parseResponses as parse,
  responsesRefusal as refusal,
  streamedEvents,
  wholeResponse,
} from '../../../../support/responses-body.ts';

const named = (name: string, more: object = {}) => ({ type: 'function', name, ...more });
const namespace = (name: string, ...tools: object[]) => ({ type: 'namespace', name, tools });
const toolsOf = (fields: object) => parse(fields).request.tools?.tools;
const call = (name: string, ...pieces: string[]): readonly GenerationEvent[] => [
  { type: 'tool-call', index: 0, id: 'call_0', name },
  ...pieces.map((delta) => ({ type: 'tool-arguments', index: 0, delta }) as const),
  {
    type: 'finish',
    reason: 'tool_calls',
    usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
  },
];

describe('a namespace of tools', () => {
  const agents = { ...namespace('agents', named('spawn'), named('close')), description: 'Sub-agents.' };
  const tools = [named('spawn'), agents, namespace('mcp__docs__', named('find'))];

  it('is unfolded into functions that carry its name', () => {
    expect(toolsOf({ tools })).toEqual([
      { name: 'spawn' },
      { name: 'agents__spawn', description: 'Sub-agents.' },
      { name: 'agents__close' },
      { name: 'mcp__docs__find' },
    ]);
  });

  it('comes back in the call, whole and streamed', async () => {
    const item = {
      type: 'function_call',
      call_id: 'call_0',
      name: 'spawn',
      namespace: 'agents',
      arguments: '{}',
    };
    const { output, tools: echoed } = await wholeResponse({ tools }, call('agents__spawn', '{}'));
    expect(output).toEqual([expect.objectContaining(item)]);
    expect(echoed).toMatchObject([{ name: 'spawn' }, { name: 'agents', tools: [{ name: 'spawn' }, {}] }, {}]);
    const events = streamedEvents(call('agents__spawn', '{}'), { tools });
    expect(events.find(({ type }) => type === 'response.output_item.done')?.item).toMatchObject(item);
    expect(events.find(({ type }) => type.endsWith('arguments.done'))).toMatchObject({ name: 'spawn' });
  });

  it('is none of a call to a tool without one', async () => {
    const { output } = await wholeResponse({ tools }, call('spawn', '{}'));
    expect(output).toMatchObject([{ name: 'spawn' }]);
    expect(output[0]).not.toHaveProperty('namespace');
  });

  it('names earlier calls as the model knows them, offered or not', () => {
    const input = [
      { role: 'user', content: 'hi' },
      { type: 'function_call', call_id: 'a', name: 'spawn', namespace: 'agents', arguments: '{}' },
      { type: 'function_call', call_id: 'b', name: 'gone', namespace: 'past', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: 'x' },
      { type: 'function_call_output', call_id: 'b', output: 'y' },
    ];
    expect(messagesOf(input, { tools })[1]).toMatchObject({
      toolCalls: [{ name: 'agents__spawn' }, { name: 'past__gone' }],
    });
  });

  it('may be named where a tool is chosen', () => {
    const choose = (more: object) =>
      parse({ tools, tool_choice: named('spawn', more) }).request.tools?.choice;
    expect(choose({})).toEqual({ name: 'spawn' });
    expect(choose({ namespace: 'agents' })).toEqual({ name: 'agents__spawn' });
    expect(refusal({ tools, tool_choice: named('find', { namespace: 'agents' }) })).toMatchObject({
      param: 'tool_choice.name',
    });
  });

  it('makes names that are unique and no longer than servers take', () => {
    const long = 'n'.repeat(60);
    const names = toolsOf({
      tools: [named('a__b'), namespace('a', named('b')), namespace(long, named('one'), named('ore'))],
    })?.map(({ name }) => name);
    expect(new Set(names).size).toBe(4);
    expect(names?.[1]).toBe('a__b_2');
    for (const name of names ?? []) expect(name).toMatch(/^[a-zA-Z0-9_.-]{1,64}$/);
  });

  it.each([
    [[namespace('a', named('b'), named('b'))], 'tools[0].tools[1].name', 'as that of another tool'],
    [[namespace('a')], 'tools[0].tools', '1 to 128 entries'],
    [[namespace('a', { type: 'web_search' })], 'tools[0].tools[0].type', '"function", "custom"'],
    [[namespace('a b', named('c'))], 'tools[0].name', '1 to 64 letters'],
    [
      Array.from({ length: 5 }, (_, at) =>
        namespace(`a${at}`, ...Array.from({ length: 128 }, (_, index) => named(`t${index}`))),
      ),
      'tools',
      'more than 512 tools',
    ],
  ])('is rejected where one of its tools is wrong (%#)', (given, param, words) => {
    const refused = refusal({ tools: given });
    expect(refused).toMatchObject({ param });
    expect(refused.message).toContain(words);
  });
});

describe('a custom tool', () => {
  const format = { type: 'grammar', syntax: 'lark', definition: 'start: "x"' };
  const patch = { type: 'custom', name: 'patch', description: 'Edits files.', format };

  it('is a function that takes one text; its grammar is shown to the model, not enforced', () => {
    const { request, dropped } = parse({ tools: [patch] });
    expect(request.tools?.tools).toEqual([
      {
        name: 'patch',
        description: 'Edits files.\n\nThe input follows this lark grammar:\nstart: "x"',
        parameters: {
          type: 'object',
          properties: { input: { type: 'string', description: expect.any(String) } },
          required: ['input'],
          additionalProperties: false,
        },
      },
    ]);
    expect(dropped).toEqual(['tools.patch.format']);
    expect(parse({ tools: [{ type: 'custom', name: 'say' }] })).not.toHaveProperty('dropped');
  });

  it('is called with a text, whole and streamed', async () => {
    const item = { type: 'custom_tool_call', call_id: 'call_0', name: 'patch', input: 'a "b"\n' };
    const events = call('patch', '{"inp', 'ut":"a \\"', 'b\\"\\n"', '}');
    const { output } = await wholeResponse({ tools: [patch] }, events);
    expect(output).toEqual([{ ...item, id: expect.stringMatching(/^ctc_/), status: 'completed' }]);
    const streamed = streamedEvents(events, { tools: [patch] });
    expect(streamed.flatMap(({ delta }) => delta ?? []).join('')).toBe(item.input);
    expect(streamed.find(({ type }) => type === 'response.output_item.added')?.item).toMatchObject({
      input: '',
    });
    expect(streamed.find(({ type }) => type === 'response.custom_tool_call_input.done')).toMatchObject({
      input: item.input,
    });
    expect(streamed.find(({ type }) => type === 'response.output_item.done')?.item).toMatchObject(item);
  });

  it('may be forced, and comes back with what it gave', () => {
    expect(
      parse({ tools: [patch], tool_choice: { type: 'custom', name: 'patch' } }).request.tools?.choice,
    ).toEqual({
      name: 'patch',
    });
    const input = [
      { role: 'user', content: 'hi' },
      { type: 'custom_tool_call', call_id: 'a', name: 'patch', input: 'a\n' },
      { type: 'custom_tool_call_output', call_id: 'a', output: 'done' },
    ];
    expect(messagesOf(input, { tools: [patch] }).slice(1)).toEqual([
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'a', name: 'patch', arguments: '{"input":"a\\n"}' }],
      },
      { role: 'tool', toolCallId: 'a', content: 'done' },
    ]);
  });
});

describe('tools that run on their vendor’s servers', () => {
  const hosted = ['web_search', 'web_search_preview_2025_03_11', 'file_search', 'code_interpreter', 'mcp'];
  const tools = [...hosted, 'web_search'].map((type) => ({ type }));

  it('are dropped and named, each once', () => {
    const parsed = parse({ tools: [...tools, named('clock')] });
    expect(parsed.dropped).toEqual(hosted.map((type) => `tools.${type}`));
    expect(parsed.request.tools).toEqual({ tools: [{ name: 'clock' }], choice: 'auto' });
    expect(parse({ tools }).request.tools).toBeUndefined();
  });

  it.each([
    [{ type: 'web_search' }, 'tool_choice.type'],
    [
      { type: 'allowed_tools', mode: 'auto', tools: [named('clock'), { type: 'mcp' }] },
      'tool_choice.tools[1].type',
    ],
  ])('cannot be chosen: %j', (tool_choice, param) => {
    const refused = refusal({ tools: [...tools, named('clock')], tool_choice });
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain('cannot run here and was dropped');
  });

  it('are named where a call is required and no tool is left', () => {
    expect(refusal({ tools: [{ type: 'mcp' }], tool_choice: 'required' }).message).toContain(
      'tools.mcp cannot run here',
    );
  });
});

describe('a summary of the reasoning', () => {
  const thinking: readonly GenerationEvent[] = [
    { type: 'reasoning', text: 'a' },
    { type: 'reasoning', text: 'b' },
    { type: 'text', text: 'c' },
    { type: 'finish', reason: 'stop', usage: { promptTokens: 1, completionTokens: 3, cachedTokens: 0 } },
  ];
  const reasoning = { summary: 'auto' };

  it('is what was thought, in place of the content', async () => {
    const whole = await wholeResponse({ reasoning }, thinking);
    expect(whole.output[0]).toMatchObject({ summary: [{ type: 'summary_text', text: 'ab' }], content: [] });
    expect(whole.reasoning).toEqual({ effort: null, summary: 'auto' });
    const without = await wholeResponse({ reasoning: { summary: 'none' } }, thinking);
    expect(without.output[0]).toMatchObject({ summary: [], content: [{ text: 'ab' }] });
    expect(without.reasoning).toEqual({ effort: null, summary: null });
  });

  it('is streamed by its own events', () => {
    const types = streamedEvents(thinking, { reasoning }).map(({ type }) => type.replace('response.', ''));
    expect(types.slice(2, 9)).toEqual([
      'output_item.added',
      'reasoning_summary_part.added',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.done',
      'reasoning_summary_part.done',
      'output_item.done',
    ]);
  });
});

it('takes tools that come with the input, as agents send them to models that they know', async () => {
  const exec = { type: 'custom', name: 'exec' };
  const added = { type: 'additional_tools', role: 'developer', tools: [namespace('functions', exec)] };
  const input = [added, { role: 'user', content: 'hi' }];
  expect(toolsOf({ input })).toMatchObject([{ name: 'functions__exec' }]);
  expect(messagesOf(input)).toEqual([{ role: 'user', content: 'hi' }]);
  const { output } = await wholeResponse({ input }, call('functions__exec', '{"input":"x"}'));
  expect(output).toMatchObject([
    { type: 'custom_tool_call', name: 'exec', namespace: 'functions', input: 'x' },
  ]);
  const wrong = { ...added, tools: [{ type: 'telepathy' }] };
  expect(refusal({ input: [wrong, ...input] })).toMatchObject({ param: 'input[0].tools[0].type' });
});

it('takes the last definition of a tool that comes with the input again', () => {
  const tool = (name: string, description: string) => ({ type: 'function', name, description });
  const added = (...tools: object[]) => ({ type: 'additional_tools', role: 'developer', tools });
  const asks = { role: 'user', content: 'hi' };
  const input = [asks, added(tool('a', 'new'), tool('b', 'old')), asks, added(tool('b', 'new'))];
  const tools = [tool('a', 'old'), tool('c', 'only')];
  expect(toolsOf({ tools, input })).toEqual([
    { name: 'c', description: 'only' },
    { name: 'a', description: 'new' },
    { name: 'b', description: 'new' },
  ]);
  const twice = [added(tool('a', 'old'), tool('a', 'new')), asks];
  expect(refusal({ input: twice })).toMatchObject({ param: 'input[0].tools[1].name' });
});

describe('what agents send back', () => {
  const asks = { role: 'user', content: 'hi' };
  const image = { type: 'input_image', image_url: 'data:image/png;base64,AAAA' };
  const called = (id: string) => ({ type: 'function_call', call_id: id, name: 'see', arguments: '{}' });
  const gave = (id: string, ...output: object[]) => ({ type: 'function_call_output', call_id: id, output });
  const words = (text: string) => ({ type: 'input_text', text });

  it('may have images in what a tool gave', () => {
    const seen = [asks, called('a'), called('b'), gave('a', words('it'), image), gave('b', image)];
    const shown = (at: number) => ({ mediaType: 'image/png', base64: 'AAAA', at });
    expect(messagesOf([...seen, asks]).slice(2)).toEqual([
      { role: 'tool', toolCallId: 'a', content: 'it', images: [shown(2)] },
      { role: 'tool', toolCallId: 'b', content: '', images: [shown(0)] },
      asks,
    ]);
  });

  it('may have thoughts that only their vendor can read, and a summary in place of their content', () => {
    const thought = { type: 'reasoning', id: 'rs_1', content: null, encrypted_content: 'gAAAA' };
    const summary = [{ type: 'summary_text', text: 'think' }];
    const said = { role: 'assistant', content: 'x' };
    expect(messagesOf([asks, { ...thought, summary: [] }, said, asks])[1]).toEqual(said);
    expect(messagesOf([asks, { ...thought, summary }, said, asks])[1]).toEqual({
      ...said,
      reasoning: 'think',
    });
  });

  it('has calls that other tools of the client have run', () => {
    const action = { type: 'exec', command: ['ls'] };
    const input = [
      asks,
      { type: 'local_shell_call', id: 'lsh_1', call_id: 'a', status: 'completed', action },
      { type: 'local_shell_call_output', call_id: 'a', output: 'x.txt' },
      { type: 'apply_patch_call', call_id: 'b', operation: { type: 'delete_file', path: 'x' } },
      { type: 'apply_patch_call_output', call_id: 'b', status: 'completed' },
    ];
    expect(messagesOf(input).slice(1)).toEqual([
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'a', name: 'local_shell', arguments: JSON.stringify(action) }],
      },
      { role: 'tool', toolCallId: 'a', content: 'x.txt' },
      {
        role: 'assistant',
        content: '',
        toolCalls: [{ id: 'b', name: 'apply_patch', arguments: '{"type":"delete_file","path":"x"}' }],
      },
      { role: 'tool', toolCallId: 'b', content: '' },
    ]);
  });

  it('drops what tools left that ran elsewhere, and names it', () => {
    const ran = { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search' } };
    const input = [asks, ran, ran, { type: 'mcp_list_tools', id: 'm', tools: [] }, asks];
    expect(messagesOf(input)).toEqual([{ role: 'user', content: 'hi\n\nhi' }]);
    expect(parse({ input }).dropped).toEqual(['input.web_search_call', 'input.mcp_list_tools']);
  });
});
