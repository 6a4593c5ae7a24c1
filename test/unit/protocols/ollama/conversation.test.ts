import { describe, expect, it } from 'vitest';
import { chatRoute } from '../../../../src/protocols/ollama/protocol.ts';
import { parseWith, refusalWith } from '../../../support/protocol-answers.ts';

const user = { role: 'user', content: 'hi' };
const call = (name: string, more: object = {}) => ({ function: { name, arguments: {} }, ...more });
const calls = (...tool_calls: object[]) => ({ role: 'assistant', content: '', tool_calls });

function messagesOf(...messages: object[]) {
  const { input } = parseWith(chatRoute, { model: 'm', messages }).request;
  return input.kind === 'chat' ? input.messages : [];
}
const refusal = (...messages: unknown[]) => refusalWith(chatRoute, { model: 'm', messages });

/** Ids of the calls that the tools of a conversation answer. */
function answeredBy(...messages: object[]) {
  return messagesOf(...messages).flatMap((message) => (message.role === 'tool' ? [message.toolCallId] : []));
}

describe('messages', () => {
  it('may lack content, and bring thoughts along', () => {
    expect(messagesOf({ role: 'system' }, user, { role: 'assistant', content: 'a', thinking: 'b' })).toEqual([
      { role: 'system', content: '' },
      user,
      { role: 'assistant', content: 'a', reasoning: 'b' },
    ]);
  });

  it.each([
    [{ role: 'owner', content: '' }, 'messages[0].role'],
    [{ content: '' }, 'messages[0].role'],
    [{ role: 'user', content: 5 }, 'messages[0].content'],
    [{ role: 'user', content: [{ type: 'text', text: 'a' }] }, 'messages[0].content'],
    ['hi', 'messages[0]'],
    [null, 'messages[0]'],
    [{ role: 'user', tool_calls: [call('a')] }, 'messages[0].tool_calls'],
    [{ role: 'system', images: ['iVBORw0KGgoAAAAN'] }, 'messages[0].images'],
    [{ role: 'tool', content: 'x' }, 'messages[0].role'],
    [
      { role: 'assistant', tool_calls: [{ function: { arguments: {} } }] },
      'messages[0].tool_calls[0].function.name',
    ],
    [calls({ function: { name: 'a', arguments: '{}' } }), 'messages[0].tool_calls[0].function.arguments'],
  ])('that make no sense are refused: %j', (message, param) => {
    expect(refusal(message)).toMatchObject({ code: 'invalid_request', param });
  });
});

describe('calls', () => {
  it('get ids where they have none, and their arguments as text', () => {
    const made = calls(
      call('a', { function: { name: 'a', arguments: { x: null } } }),
      call('b', { id: 'own' }),
    );
    expect(messagesOf(user, made)[1]).toEqual({
      role: 'assistant',
      content: '',
      toolCalls: [
        { id: 'call_1_0', name: 'a', arguments: '{"x":null}' },
        { id: 'own', name: 'b', arguments: '{}' },
      ],
    });
  });

  it('are answered in turn, by name or by id', () => {
    const made = calls(call('a'), call('b', { id: 'own' }), call('a'));
    const tool = (more: object = {}) => ({ role: 'tool', content: 'x', ...more });
    expect(answeredBy(made, tool(), tool(), tool())).toEqual(['call_0_0', 'own', 'call_0_2']);
    expect(
      answeredBy(made, tool({ tool_name: 'b' }), tool({ tool_name: 'a' }), tool({ tool_name: 'a' })),
    ).toEqual(['own', 'call_0_0', 'call_0_2']);
    expect(answeredBy(made, tool({ tool_call_id: 'own', tool_name: 'b' }), tool({ tool_name: '' }))).toEqual([
      'own',
      'call_0_0',
    ]);
  });

  it('are not answered twice, nor by a tool that was not called', () => {
    const tool = (more: object) => ({ role: 'tool', content: 'x', ...more });
    expect(refusal(calls(call('a')), tool({ tool_name: 'b' }))).toMatchObject({
      param: 'messages[1].tool_name',
      message: 'messages[1].tool_name is "b", but the calls before it are of a.',
    });
    expect(refusal(calls(call('a')), tool({ tool_name: 'a' }), tool({ tool_name: 'a' })).message).toBe(
      'messages[2].tool_name is "a", but all calls of that tool have their answer already.',
    );
    expect(refusal(calls(call('a')), tool({}), tool({})).param).toBe('messages[2]');
    expect(refusal(calls(call('a')), tool({ tool_call_id: 'x' })).param).toBe('messages[1].tool_call_id');
    expect(refusal(calls(call('a')), user, tool({ tool_name: 'a' })).param).toBe('messages[2].role');
    expect(refusal(calls(call('a', { id: 'x' }), call('a', { id: 'x' }))).param).toBe(
      'messages[0].tool_calls[1].id',
    );
  });
});

describe('images', () => {
  it.each([
    ['image/png', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]],
    ['image/jpeg', [0xff, 0xd8, 0xff, 0xe0]],
    ['image/gif', [...Buffer.from('GIF89a')]],
    ['image/webp', [...Buffer.from('RIFF'), 1, 2, 3, 4, ...Buffer.from('WEBP')]],
  ])('are known by their first bytes: %s', (mediaType, bytes) => {
    const base64 = Buffer.from(bytes).toString('base64');
    expect(messagesOf({ ...user, images: [base64] })).toEqual([
      { ...user, images: [{ mediaType, base64, at: 0 }] },
    ]);
  });

  it('may be in the result of a tool', () => {
    const image = 'iVBORw0KGgoAAAAN';
    expect(messagesOf(user, calls(call('a')), { role: 'tool', content: 'it', images: [image] })[2]).toEqual({
      role: 'tool',
      content: 'it',
      toolCallId: 'call_1_0',
      images: [{ mediaType: 'image/png', base64: image, at: 0 }],
    });
  });

  it.each([
    'http://example.com/a.png',
    'data:image/png;base64,iVBORw0KGgoAAAAN',
    'iVBORw0KGgoAAAA',
    Buffer.from('just some text').toString('base64'),
    'AA==',
    '',
  ])('that are none are refused: %s', (image) => {
    expect(refusal({ ...user, images: [image] })).toMatchObject({ param: 'messages[0].images[0]' });
  });
});

describe('tools', () => {
  const refused = (...tools: object[]) => refusalWith(chatRoute, { model: 'm', messages: [user], tools });
  const tool = (more: object) => ({ type: 'function', function: { name: 'a', ...more } });

  it('may all be called', () => {
    const parameters = { type: 'object', properties: {} };
    const { tools } = parseWith(chatRoute, {
      model: 'm',
      messages: [user],
      tools: [
        tool({ description: 'x', parameters }),
        { function: { name: 'b', parameters: null, strict: true } },
      ],
    }).request;
    expect(tools).toEqual({
      tools: [{ name: 'a', description: 'x', parameters }, { name: 'b' }],
      choice: 'auto',
    });
  });

  it('that cannot be called are refused', () => {
    expect(refused(tool({}), tool({})).param).toBe('tools[1].function.name');
    expect(refused(tool({ name: 'a b' })).param).toBe('tools[0].function.name');
    expect(refused({ type: 'function' }).param).toBe('tools[0].function');
    expect(refused({ ...tool({}), type: 'web' }).param).toBe('tools[0].type');
    expect(refused(tool({ parameters: { type: 'array' } })).param).toBe('tools[0].function.parameters.type');
    expect(refused(tool({ parameters: [] })).param).toBe('tools[0].function.parameters');
  });
});
