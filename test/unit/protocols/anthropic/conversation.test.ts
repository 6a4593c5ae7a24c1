import { describe, expect, it } from 'vitest';
import {
  asks,
  conversationOf as conversation,
  messageRefusal,
  parseMessage,
} from '../../../support/anthropic-body.ts';
import { nestedArrays } from '../../../support/native-body.ts';

const user = (...content: unknown[]) => ({ role: 'user', content });
const assistant = (...content: unknown[]) => ({ role: 'assistant', content });
const text = (said: string) => ({ type: 'text', text: said });
const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
const use = (id: string, input: unknown = { city: 'Paris' }) => ({
  type: 'tool_use',
  id,
  name: 'get_weather',
  input,
});
const result = (id: string, content: unknown = '18 °C') => ({
  type: 'tool_result',
  tool_use_id: id,
  content,
});

describe('messages', () => {
  it('are texts or blocks of text, one to a line', () => {
    expect(conversation([asks, { role: 'assistant', content: 'hello' }, user(text('a'), text('b'))])).toEqual(
      [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: 'hello' },
        { role: 'user', content: 'a\nb' },
      ],
    );
  });

  it('are one turn where neighbours have the same role', () => {
    expect(
      conversation([asks, user(text('a'), text('b')), assistant(text('c')), assistant(text('d')), asks]),
    ).toEqual([
      { role: 'user', content: 'hi\n\na\nb' },
      { role: 'assistant', content: 'c\n\nd' },
      { role: 'user', content: 'hi' },
    ]);
  });

  it('have the system prompt before them, and what is said of it between as a reminder', () => {
    const system = [{ ...text('Be brief.'), cache_control: { type: 'ephemeral' } }, text('Be kind.')];
    const more = { role: 'system', content: 'It is noon.' };
    expect(conversation([asks, more, asks], { system })).toEqual([
      { role: 'system', content: 'Be brief.\nBe kind.' },
      { role: 'user', content: 'hi\n\n<system-reminder>\nIt is noon.\n</system-reminder>\n\nhi' },
    ]);
    expect(conversation([asks], { system: 'Be brief.' })[0]).toEqual({
      role: 'system',
      content: 'Be brief.',
    });
    expect(conversation([asks], { system: '' })).toEqual([asks]);
  });

  it('have no line of the system prompt that is for another service', () => {
    const system = [text('x-anthropic-billing-header: cc_version=1; cch=00000;'), text('Be brief.')];
    expect(conversation([asks], { system })[0]).toEqual({ role: 'system', content: 'Be brief.' });
  });

  it('show images at their place', () => {
    expect(conversation([user(text('ab'), image, text('c'), image)])).toEqual([
      {
        role: 'user',
        content: 'ab\nc',
        images: [
          { mediaType: 'image/png', base64: 'AAAA', at: 2 },
          { mediaType: 'image/png', base64: 'AAAA', at: 4 },
        ],
      },
    ]);
    expect(conversation([user(image)])).toMatchObject([{ content: '', images: [{ at: 0 }] }]);
  });

  it('tell the text of documents and search results', () => {
    const plain = {
      type: 'document',
      title: 'T',
      source: { type: 'text', media_type: 'text/plain', data: 'D' },
    };
    const parts = { type: 'document', source: { type: 'content', content: [text('E'), text('F'), image] } };
    const found = { type: 'search_result', title: 'S', source: 'https://a', content: [text('G')] };
    expect(conversation([user(plain, parts, found)])).toMatchObject([
      { content: 'T\nD\nE\nF\nS\nhttps://a\nG', images: [{ at: 7 }] },
    ]);
  });

  it('keep what was thought before, as far as it can be read', () => {
    const thinking = { type: 'thinking', thinking: 'hm', signature: '' };
    expect(
      conversation([asks, assistant(thinking, { type: 'redacted_thinking', data: 'x' }, text('a')), asks])[1],
    ).toEqual({ role: 'assistant', content: 'a', reasoning: 'hm' });
    expect(conversation([asks, assistant(), asks])[1]).toEqual({ role: 'assistant', content: '' });
  });

  it('continues a last message of the assistant’s', () => {
    const inputOf = (...messages: unknown[]) => parseMessage({ messages }).request.input;
    expect(inputOf(asks, assistant(text('The answer is')))).toMatchObject({ continuesLast: true });
    expect(inputOf(asks)).not.toHaveProperty('continuesLast');
  });

  it('begins a turn where the assistant’s last message says nothing', () => {
    const inputOf = (...messages: unknown[]) => parseMessage({ messages }).request.input;
    for (const content of ['', [], [text('')]])
      expect(inputOf(asks, { role: 'assistant', content })).toEqual(inputOf(asks));
  });

  it.each([
    [[], 'messages', 'at least 1'],
    [['hi'], 'messages[0]', 'messages[0] is "hi", but must be an object'],
    [[{ content: 'hi' }], 'messages[0].role', 'role is missing'],
    [[{ role: 'tool', content: 'hi' }], 'messages[0].role', '"user", "assistant", "system"'],
    [[{ role: 'user' }], 'messages[0].content', 'content is missing'],
    [[{ role: 'user', content: null }], 'messages[0].content', 'content is missing'],
    [[{ role: 'user', content: 5 }], 'messages[0].content', 'a string or a list of content blocks'],
    [[{ role: 'user', content: '' }], 'messages[0].content', 'must say something'],
    [[user()], 'messages[0].content', 'must say something'],
    [[user('hi')], 'messages[0].content[0]', 'a content block: an object with a type'],
    [[user({})], 'messages[0].content[0].type', 'type is missing. It must be one of "text"'],
    [
      [user({ type: 'video' })],
      'messages[0].content[0].type',
      '"video", but must be one of "text", "image", "document", "search_result", "tool_result" or',
    ],
    [[user(use('t1'))], 'messages[0].content[0].type', '"tool_result"'],
    [[user({ type: 'text' })], 'messages[0].content[0].text', 'text is missing'],
    [[user(text('a'), { type: 'text', text: 5 })], 'messages[0].content[1].text', 'text is 5'],
    [[asks, assistant(image), asks], 'messages[1].content[0].type', '"image"'],
    [
      [{ role: 'system', content: [image] }],
      'messages[0].content[0].type',
      'must be one of "text", "tool_addition"',
    ],
    [[asks, assistant(use('t1'))], 'messages', 'needs its tool_result'],
    [
      [user({ type: 'image', source: { type: 'url', url: 'https://a/b.png' } })],
      'messages[0].content[0].source.type',
      'the server fetches nothing',
    ],
    [
      [user({ type: 'image', source: { ...image.source, media_type: 'image/svg+xml' } })],
      'messages[0].content[0].source.media_type',
      '"image/webp"',
    ],
    [
      [user({ type: 'image', source: { ...image.source, data: 'data:image/png;base64,AAAA' } })],
      'messages[0].content[0].source.data',
      'base64 and nothing else',
    ],
    [
      [user({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' } })],
      'messages[0].content[0].source.type',
      'reads no files',
    ],
    [
      [user({ type: 'document', citations: { enabled: true }, source: { type: 'text', data: 'a' } })],
      'messages[0].content[0].citations.enabled',
      'answers here cite nothing',
    ],
    [[{ role: 'user', content: nestedArrays(10_000) }], 'messages[0].content[0]', 'a content block'],
  ])('are refused where one is wrong (%#)', (messages, param, words) => {
    const refused = messageRefusal({ messages });
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });

  it.each([
    [5, 'system', 'a string or a list'],
    [[image], 'system[0].type', 'must be one of "text", "tool_addition"'],
    [['a'], 'system[0]', 'a content block'],
  ])('are refused with the system prompt %j', (system, param, words) => {
    const refused = messageRefusal({ system });
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });
});

describe('calls of tools', () => {
  it('have their results first in the turn after them, then what the user says', () => {
    expect(
      conversation([
        asks,
        assistant(text('I look.'), use('t1'), use('t2', {})),
        user(result('t2', [text('a'), image, text('b')])),
        user(result('t1'), text('and now?')),
      ]),
    ).toEqual([
      asks,
      {
        role: 'assistant',
        content: 'I look.',
        toolCalls: [
          { id: 't1', name: 'get_weather', arguments: '{"city":"Paris"}' },
          { id: 't2', name: 'get_weather', arguments: '{}' },
        ],
      },
      {
        role: 'tool',
        content: 'a\nb',
        toolCallId: 't2',
        images: [{ mediaType: 'image/png', base64: 'AAAA', at: 1 }],
      },
      { role: 'tool', content: '18 °C', toolCallId: 't1' },
      { role: 'user', content: 'and now?' },
    ]);
  });

  it('may be answered with nothing, and say where they failed', () => {
    const answered = (fields: object) =>
      conversation([
        asks,
        assistant(use('t1')),
        user({ type: 'tool_result', tool_use_id: 't1', ...fields }),
      ])[2];
    expect(answered({})).toEqual({ role: 'tool', content: '', toolCallId: 't1' });
    expect(answered({ is_error: true })).toMatchObject({ content: 'Error' });
    expect(answered({ is_error: true, content: 'no such city' })).toMatchObject({
      content: 'Error: no such city',
    });
    for (const content of ['Error: no', '<tool_use_error>no</tool_use_error>'])
      expect(answered({ is_error: true, content })).toMatchObject({ content });
    expect(answered({ is_error: null, content: null })).toMatchObject({ content: '' });
  });

  it('may be made again under the same id in a later turn', () => {
    expect(
      conversation([
        asks,
        assistant(use('t1')),
        user(result('t1')),
        assistant(use('t1')),
        user(result('t1')),
      ]),
    ).toHaveLength(5);
  });

  it.each([
    [[user(result('t1'))], 'messages[0].content[0]', 'no assistant’s message with a tool_use'],
    [[asks, assistant(use('t1')), asks], 'messages[2].content', 'missing: "t1"'],
    [
      [asks, assistant(use('t1'), use('t2')), user(result('t1'), text('a'))],
      'messages[2].content',
      'missing: "t2"',
    ],
    [
      [asks, assistant(use('t1')), { role: 'system', content: 'a' }, user(result('t1'))],
      'messages[2].content',
      'missing: "t1"',
    ],
    [
      [asks, assistant(use('t1')), user(text('a'), result('t1'))],
      'messages[2].content[1]',
      'results come first',
    ],
    [
      [asks, assistant(use('t1')), user(result('t2'))],
      'messages[2].content[0].tool_use_id',
      'the calls before it are "t1"',
    ],
    [
      [asks, assistant(use('t1')), user(result('t1'), result('t1'))],
      'messages[2].content[1].tool_use_id',
      'has its answer already',
    ],
    [
      [asks, assistant(use('t1'), use('t1')), user(result('t1'))],
      'messages[1].content[1].id',
      'as that of another call',
    ],
    [[asks, assistant(use('t1', 'x')), asks], 'messages[1].content[0].input', 'an object'],
    [
      [asks, assistant(use('t1', { a: nestedArrays(10_000) })), asks],
      'messages[1].content[0].input',
      'deeply',
    ],
    [
      [asks, assistant(use('t1')), user(result('t1', [use('t2')]))],
      'messages[2].content[0].content[0].type',
      'must be one of "text", "image"',
    ],
  ])('are refused where one is wrong (%#)', (messages, param, words) => {
    const refused = messageRefusal({ messages });
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });
});
