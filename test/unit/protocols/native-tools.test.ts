import { describe, expect, it } from 'vitest';
import { nestedArrays, parseNative as parse, nativeRefusal as refusal } from '../../support/native-body.ts';

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
    [{ tool_choice: { name: 'clock', type: 'function' } }, 'tool_choice', '{"name": …}'],
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
