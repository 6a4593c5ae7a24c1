import { describe, expect, it } from 'vitest';
import {
  asks,
  conversationOf as conversation,
  parseMessage as parse,
  messageRefusal as refusal,
} from '../../../support/anthropic-body.ts';

const tool = (name: string, more: object = {}) => ({ name, input_schema: { type: 'object' }, ...more });
const clock = tool('clock');
const namesOf = (fields: object) => parse(fields).request.tools?.tools.map(({ name }) => name);
const turn = (role: string, ...content: object[]) => ({ role, content });

describe('tools of the vendor’s servers', () => {
  const search = { type: 'web_search_20250305', name: 'web_search', max_uses: 5 };
  const code = { type: 'code_execution_20250825', name: 'code_execution' };

  it('are dropped and named', () => {
    const parsed = parse({ tools: [search, clock, code, search] });
    expect(parsed.dropped).toEqual(['tools.web_search_20250305', 'tools.code_execution_20250825']);
    expect(parsed.request.tools).toEqual({
      tools: [{ name: 'clock', parameters: { type: 'object' } }],
      choice: 'auto',
    });
  });

  it('leave an answer without tools where there are no others', () => {
    expect(parse({ tools: [search] }).request.tools).toBeUndefined();
    expect(parse({ tools: [clock] })).not.toHaveProperty('dropped');
  });

  it('cannot be forced', () => {
    expect(refusal({ tools: [search, clock], tool_choice: { type: 'tool', name: 'web_search' } })).toEqual({
      code: 'invalid_request',
      param: 'tool_choice.name',
      message: expect.stringContaining('runs on its vendor’s servers and was dropped'),
    });
    expect(refusal({ tools: [search], tool_choice: { type: 'any' } })).toMatchObject({
      param: 'tool_choice',
    });
  });

  it('are dropped with what they left in earlier answers', () => {
    const use = { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: { query: 'x' } };
    const found = { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [] };
    const messages = [asks, turn('assistant', use, found, { type: 'text', text: 'Found.' }), asks];
    expect(conversation(messages)[1]).toEqual({ role: 'assistant', content: 'Found.' });
    expect(parse({ messages }).dropped).toEqual([
      'messages.server_tool_use',
      'messages.web_search_tool_result',
    ]);
  });
});

describe('tools that clients run and this API names by their type', () => {
  it.each([
    ['bash_20250124', 'bash', 'command'],
    ['text_editor_20250728', 'str_replace_based_edit_tool', 'old_str'],
    ['memory_20250818', 'memory', 'new_path'],
  ])('are offered with their arguments: %s', (type, name, argument) => {
    const [offered] = parse({ tools: [{ type, name, cache_control: null }] }).request.tools?.tools ?? [];
    expect(offered).toMatchObject({ name, description: expect.any(String) });
    expect(offered?.parameters).toHaveProperty(['properties', argument]);
  });
});

describe('tools whose loading is deferred', () => {
  const tools = [clock, tool('fetch', { defer_loading: true }), tool('other', { defer_loading: true })];
  const use = { type: 'tool_use', id: 'call_0', name: 'clock', input: {} };
  const found = { type: 'tool_reference', tool_name: 'fetch' };
  const result = { type: 'tool_result', tool_use_id: 'call_0', content: [found] };
  const searched = [asks, turn('assistant', use), turn('user', result)];

  it('are offered when the result of a tool refers to them, which the model reads', () => {
    expect(namesOf({ tools })).toEqual(['clock']);
    expect(namesOf({ tools, messages: searched })).toEqual(['clock', 'fetch']);
    expect(conversation(searched).at(-1)).toEqual({
      role: 'tool',
      toolCallId: 'call_0',
      content: 'fetch can be called now.',
    });
  });

  it('are all offered where the vendor’s own search for them is dropped', () => {
    const search = { type: 'tool_search_tool_regex_20251119', name: 'tool_search_tool_regex' };
    expect(namesOf({ tools: [search, ...tools] })).toEqual(['clock', 'fetch', 'other']);
  });

  it('are offered where they are forced', () => {
    expect(parse({ tools, tool_choice: { type: 'tool', name: 'other' } }).request.tools).toMatchObject({
      tools: [{ name: 'clock' }, { name: 'other' }],
      choice: { name: 'other' },
    });
  });
});

describe('as many tools as agents with several servers of tools have', () => {
  const many = (count: number, more: object = {}) =>
    Array.from({ length: count }, (_, place) => tool(`mcp__server__${place}`, more));

  it('are offered, up to 512', () => {
    expect(namesOf({ tools: many(309) })).toHaveLength(309);
    expect(namesOf({ tools: many(512) })).toHaveLength(512);
    expect(refusal({ tools: many(513) })).toMatchObject({
      param: 'tools',
      message: expect.stringContaining('offers the model 513 tools, but 512 are the most'),
    });
  });

  it('are taken beyond that where their loading is deferred', () => {
    const deferred = many(2000, { defer_loading: true });
    expect(namesOf({ tools: [clock, ...deferred] })).toEqual(['clock']);
    const search = { type: 'tool_search_tool_regex_20251119', name: 'tool_search_tool_regex' };
    expect(refusal({ tools: [search, ...deferred] })).toMatchObject({ param: 'tools' });
  });

  it('are not all listed where a choice names none of them', () => {
    const { message } = refusal({ tools: many(300), tool_choice: { type: 'tool', name: 'other' } });
    expect(message).toMatch(/mcp__server__49 and 250 more\.$/);
  });
});

describe('tools that come and go in a conversation', () => {
  const reference = (name: string) => ({ type: 'tool_reference', name });
  const addition = (added: object) => ({ type: 'tool_addition', tool: added });
  const removal = (name: string) => ({ type: 'tool_removal', tool: reference(name) });
  const tools = [clock, tool('fetch', { defer_loading: true })];

  it('follow the system messages', () => {
    const says = (...content: object[]) => ({ tools, messages: [asks, turn('system', ...content)] });
    expect(namesOf(says(addition(reference('fetch'))))).toEqual(['clock', 'fetch']);
    expect(namesOf(says(addition(tool('new'))))).toEqual(['clock', 'new']);
    expect(namesOf(says(removal('clock')))).toBeUndefined();
    expect(namesOf(says(removal('clock'), addition(reference('clock'))))).toEqual(['clock']);
  });

  it('are checked like those of the list', () => {
    const added = { ...tool('new'), input_schema: {} };
    const messages = [asks, turn('system', { type: 'text', text: 'x' }, addition(added))];
    expect(refusal({ messages })).toMatchObject({
      param: 'messages[1].content[1].tool.input_schema.type',
    });
  });

  it('leave nothing for the model to read but the text', () => {
    const messages = [asks, turn('system', { type: 'text', text: 'It is noon.' }, removal('clock'))];
    expect(conversation(messages, { tools })).toEqual([
      { role: 'user', content: 'hi\n\n<system-reminder>\nIt is noon.\n</system-reminder>' },
    ]);
    expect(conversation([asks, turn('system', removal('clock'))], { tools })).toEqual([asks]);
  });
});
