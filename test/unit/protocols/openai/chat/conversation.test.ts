import { describe, expect, it } from 'vitest';
import type { Message } from '../../../../../src/core/generation.ts';
import { chatRoute } from '../../../../../src/protocols/openai/chat/route.ts';
import { parseWith, refusalWith } from '../../../../support/protocol-answers.ts';

function messagesOf(...messages: object[]): readonly Message[] {
  const { input } = parseWith(chatRoute, { model: 'm', messages }).request;
  return input.kind === 'chat' ? input.messages : [];
}

const contentOf = (...content: object[]) => messagesOf({ role: 'user', content })[0];
const refusal = (...messages: object[]) => refusalWith(chatRoute, { model: 'm', messages });

const text = (of: string) => ({ type: 'text', text: of });
const image = (url: unknown) => ({ type: 'image_url', image_url: { url, detail: 'low' } });
const PNG = 'data:image/PNG;base64,iVBORw0KGgo=';
const call = (id: string, text = '{"a":1}') => ({
  id,
  type: 'function',
  function: { name: 'clock', arguments: text },
});
const asked = (...ids: string[]) => ({ role: 'assistant', tool_calls: ids.map((id) => call(id)) });
const answered = (id: string) => ({ role: 'tool', tool_call_id: id, content: 'noon' });

describe('messages', () => {
  it.each([
    [
      { role: 'developer', content: 'a' },
      { role: 'system', content: 'a' },
    ],
    [
      { role: 'system', content: [text('a'), text('b')] },
      { role: 'system', content: 'a\nb' },
    ],
    [
      { role: 'user', content: '', name: 'ann' },
      { role: 'user', content: '' },
    ],
    [
      { role: 'assistant', content: null },
      { role: 'assistant', content: '' },
    ],
    [{ role: 'assistant' }, { role: 'assistant', content: '' }],
    [
      { role: 'assistant', tool_calls: [] },
      { role: 'assistant', content: '' },
    ],
    [
      { role: 'assistant', content: null, refusal: 'no' },
      { role: 'assistant', content: 'no' },
    ],
    [
      { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
      { role: 'assistant', content: 'no' },
    ],
    [
      { role: 'assistant', content: 'a', reasoning_content: 'b', annotations: [] },
      { role: 'assistant', content: 'a', reasoning: 'b' },
    ],
    [
      { role: 'assistant', content: 'a', reasoning: 'b' },
      { role: 'assistant', content: 'a', reasoning: 'b' },
    ],
  ])('%j is %j', (message, parsed) => {
    expect(messagesOf(message)).toEqual([parsed]);
  });

  it('have images at their places', () => {
    expect(contentOf(text('ab'), image(PNG), text('cd'), text('ef'), image(PNG))).toEqual({
      role: 'user',
      content: 'abcd\nef',
      images: [
        { mediaType: 'image/png', base64: 'iVBORw0KGgo=', at: 2 },
        { mediaType: 'image/png', base64: 'iVBORw0KGgo=', at: 7 },
      ],
    });
    expect(contentOf({ type: 'image_url', image_url: PNG })).toMatchObject({
      content: '',
      images: [{ at: 0 }],
    });
  });

  it('take large images', () => {
    const base64 = 'A'.repeat(8_000_000);
    expect(contentOf(image(`data:image/jpeg;base64,${base64}`))).toMatchObject({
      images: [{ base64, mediaType: 'image/jpeg' }],
    });
  });

  it.each([
    'http://example.com/a.png',
    'https://example.com/a.png',
    'file:///etc/passwd',
    'data:text/plain;base64,AAAA',
    'data:image/png,AAAA',
    'data:image/png;base64,',
    'data:image/png;base64,A A',
    5,
    null,
  ])('are rejected with the image %j', (url) => {
    expect(refusal({ role: 'user', content: [text('a'), image(url)] })).toMatchObject({
      code: 'invalid_request',
      param: 'messages[0].content[1].image_url.url',
    });
  });

  it.each(['input_audio', 'file'])('are rejected with a part of type %s', (type) => {
    expect(refusal({ role: 'user', content: [{ type }] })).toMatchObject({
      code: 'unsupported_parameter',
      param: 'messages[0].content[0].type',
    });
  });

  it.each(['video_url', 'constructor', 'refusal'])('are rejected with a part of unknown type %s', (type) => {
    expect(refusal({ role: 'user', content: [{ type }] })).toMatchObject({
      code: 'invalid_request',
      param: 'messages[0].content[0].type',
    });
  });
});

describe('calls and what tools answered', () => {
  it('may have images in an answer', () => {
    const seen = { role: 'tool', tool_call_id: 'a', content: [text('it'), image(PNG)] };
    expect(messagesOf(asked('a'), seen).at(-1)).toEqual({
      role: 'tool',
      content: 'it',
      toolCallId: 'a',
      images: [{ mediaType: 'image/png', base64: 'iVBORw0KGgo=', at: 2 }],
    });
    const remote = { ...seen, content: [image('https://example.com/a.png')] };
    expect(refusal(asked('a'), remote).param).toMatch(/^messages\[\d\]\.content\[0\]\.image_url\.url$/);
  });

  it('belong together, in any order of the answers', () => {
    expect(
      messagesOf(asked('a', 'b'), answered('b'), answered('a'), { role: 'user', content: 'so?' }),
    ).toEqual([
      {
        role: 'assistant',
        content: '',
        toolCalls: [
          { id: 'a', name: 'clock', arguments: '{"a":1}' },
          { id: 'b', name: 'clock', arguments: '{"a":1}' },
        ],
      },
      { role: 'tool', content: 'noon', toolCallId: 'b' },
      { role: 'tool', content: 'noon', toolCallId: 'a' },
      { role: 'user', content: 'so?' },
    ]);
  });

  it('may use an id again in another turn', () => {
    expect(messagesOf(asked('a'), answered('a'), asked('a'), answered('a'))).toHaveLength(4);
  });

  it('may have no arguments at all', () => {
    expect(messagesOf({ role: 'assistant', tool_calls: [call('a', ' ')] }, answered('a'))[0]).toMatchObject({
      toolCalls: [{ arguments: '{}' }],
    });
  });

  it.each([
    [[answered('a')], 'messages[0].role'],
    [[asked('a'), answered('b')], 'messages[1].tool_call_id'],
    [[asked('a'), answered('a'), answered('a')], 'messages[2].tool_call_id'],
    [[asked('a'), { role: 'user', content: 'hm' }], 'messages[1].role'],
    [[asked('a', 'b'), answered('a'), { role: 'assistant', content: 'hm' }], 'messages[2].role'],
    [[asked('a', 'b'), answered('b')], 'messages'],
    [[asked('a'), answered('a'), { role: 'user', content: 'x' }, answered('a')], 'messages[3].role'],
    [[asked('a', 'a')], 'messages[0].tool_calls[1].id'],
    [[{ role: 'user', content: 'a', tool_calls: [call('a')] }], 'messages[0].tool_calls'],
    [[{ role: 'assistant', tool_calls: [call('a', '[1]')] }], 'messages[0].tool_calls[0].function.arguments'],
    [[{ role: 'assistant', tool_calls: [call('a', '{')] }], 'messages[0].tool_calls[0].function.arguments'],
  ])('are rejected where they do not: %#', (messages, param) => {
    expect(refusal(...messages)).toMatchObject({ code: 'invalid_request', param });
  });
});
