import { describe, expect, it } from 'vitest';
import { messagesOf as messages, responsesRefusal } from '../../../../support/responses-body.ts';

const user = { role: 'user', content: 'hi' };
const call = (id: string, name = 'clock', values = '{}') => ({
  type: 'function_call',
  call_id: id,
  name,
  arguments: values,
});
const output = (id: string, text = 'noon') => ({ type: 'function_call_output', call_id: id, output: text });
const answer = (text: string) => ({
  type: 'message',
  id: 'msg_1',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [], logprobs: [] }],
});
const thought = (text: string) => ({
  type: 'reasoning',
  id: 'rs_1',
  summary: [],
  content: [{ type: 'reasoning_text', text }],
});
const image = (fields: object) => ({
  role: 'user',
  content: [
    { type: 'input_text', text: 'what?' },
    { type: 'input_image', ...fields },
  ],
});

describe('the messages of an input', () => {
  it('have the roles of the core', () => {
    const roles = ['system', 'developer', 'user', 'assistant'];
    expect(messages(roles.map((role) => ({ role, content: role })))).toEqual([
      { role: 'system', content: 'system\n\ndeveloper' },
      { role: 'user', content: 'user' },
      { role: 'assistant', content: 'assistant' },
    ]);
  });

  it('have one text, of all parts', () => {
    const content = [
      { type: 'input_text', text: 'a' },
      { type: 'input_text', text: 'b' },
    ];
    expect(messages([{ type: 'message', role: 'user', content }])).toEqual([
      { role: 'user', content: 'a\nb' },
    ]);
    expect(messages([user, { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] }])[1]).toEqual(
      {
        role: 'assistant',
        content: 'no',
      },
    );
    expect(messages([{ role: 'user', content: [] }])).toEqual([{ role: 'user', content: '' }]);
  });

  it('have images where they stand', () => {
    const content = [
      { type: 'input_text', text: 'what' },
      { type: 'input_image', image_url: 'data:image/PNG;base64,AAAA', detail: 'auto', file_id: null },
      { type: 'input_text', text: ' is' },
      { type: 'input_text', text: 'it?' },
    ];
    expect(messages([{ role: 'user', content }])).toEqual([
      {
        role: 'user',
        content: 'what is\nit?',
        images: [{ mediaType: 'image/png', base64: 'AAAA', at: 4 }],
      },
    ]);
  });
});

describe('the turn of an assistant', () => {
  it('is one message: its reasoning, text and calls', () => {
    expect(
      messages([
        user,
        thought('two'),
        answer('let me see'),
        call('a'),
        call('b', 'x', ' '),
        output('b'),
        output('a', '1'),
      ]),
    ).toEqual([
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: 'let me see',
        reasoning: 'two',
        toolCalls: [
          { id: 'a', name: 'clock', arguments: '{}' },
          { id: 'b', name: 'x', arguments: '{}' },
        ],
      },
      { role: 'tool', content: 'noon', toolCallId: 'b' },
      { role: 'tool', content: '1', toolCallId: 'a' },
    ]);
  });

  it('ends with an item of another role', () => {
    expect(messages([user, call('a'), output('a'), call('a'), output('a'), answer('done')])).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'a' }] },
      { role: 'tool' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'a' }] },
      { role: 'tool' },
      { role: 'assistant', content: 'done' },
    ]);
  });

  it('goes on with the text after a call that has no output yet', () => {
    expect(messages([user, answer('one '), call('a'), answer('two'), output('a')])).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: 'one two', toolCalls: [{ id: 'a' }] },
      { role: 'tool' },
    ]);
  });

  it('is two where there are two messages', () => {
    expect(messages([user, answer('one'), answer('two'), thought('hm'), answer('three')])).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'one' },
      { role: 'assistant', content: 'two' },
      { role: 'assistant', content: 'three', reasoning: 'hm' },
    ]);
  });

  it('drops thoughts that are empty, encrypted or lead nowhere', () => {
    const encrypted = { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'x', content: null };
    expect(messages([user, encrypted, answer('one'), user, thought('hm')])).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'one' },
      { role: 'user', content: 'hi' },
    ]);
    const summed = { type: 'reasoning', summary: [{ type: 'summary_text', text: 'in short' }] };
    expect(messages([user, summed, answer('one')])[1]).toMatchObject({ reasoning: 'in short' });
  });
});

describe('an input that makes no conversation', () => {
  const png = 'data:image/png;base64,';

  it.each([
    [[thought('hm')], 'input', 'input has no message'],
    [[{ role: 'tool', content: 'a' }], 'input[0].role', '"user", "assistant", "system", "developer"'],
    [[{ role: 'user' }], 'input[0].content', 'input[0].content is missing'],
    [[{ role: 'user', content: 7 }], 'input[0].content', 'a string or a list'],
    [[{ content: 'a' }], 'input[0].role', 'is missing. It must be one of "user"'],
    [[{ role: 'user', content: [{ type: 'text', text: 'a' }] }], 'input[0].content[0].type', '"input_text"'],
    [[{ role: 'user', content: [{ text: 'a' }] }], 'input[0].content[0].type', 'is missing'],
    [[{ role: 'user', content: [{ type: 'input_text' }] }], 'input[0].content[0].text', 'is missing'],
    [[user, { type: 'function_call', name: 'x', arguments: '{}' }], 'input[1].call_id', 'is missing'],
    [[user, { type: 'reasoning', summary: [{ type: 'text' }] }], 'input[1].summary[0].text', 'is missing'],
    [[user, { type: 7 }], 'input[1].type', 'or the type of an item of a hosted tool'],
    [[user, output('a')], 'input[1].call_id', 'no function_call stands before it'],
    [[user, call('a'), output('b')], 'input[2].call_id', 'the calls before it are "a"'],
    [[user, call('a'), output('a'), output('a')], 'input[3].call_id', 'has its answer already'],
    [
      [user, call('a'), output('a'), user, output('a')],
      'input[4].call_id',
      'no function_call stands before it',
    ],
    [[user, call('a')], 'input', 'calls without an output before the conversation goes on: "a"'],
    [[user, call('a'), call('b'), output('b'), user], 'input', 'goes on: "a"'],
    [[user, call('a'), call('b'), output('b'), answer('done')], 'input', 'goes on: "a"'],
    [[user, call('a'), call('a')], 'input[2].call_id', 'as that of another call'],
    [[user, call('a', 'x', '{"a":')], 'input[1].arguments', 'the text of a JSON object'],
    [[user, call('a', 'x', '[]')], 'input[1].arguments', 'the text of a JSON object'],
    [
      [user, call('a', 'x', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`)],
      'input[1].arguments',
      'too deeply',
    ],
    [[user, { ...call('a'), arguments: {} }], 'input[1].arguments', 'must be a string'],
    [
      [{ role: 'system', content: image({ image_url: `${png}AAAA` }).content }],
      'input[0].content[1]',
      'only a user',
    ],
    [[image({ image_url: 'https://a.b/c.png' })], 'input[0].content[1].image_url', 'fetches nothing'],
    [[image({ image_url: 'cat.png' })], 'input[0].content[1].image_url', 'must be a data: URL'],
    [[image({ image_url: `${png}!` })], 'input[0].content[1].image_url', 'is not base64'],
    [[image({ image_url: png })], 'input[0].content[1].image_url', 'is not base64'],
    [
      [image({ image_url: 'data:text/html;base64,AAAA' })],
      'input[0].content[1].image_url',
      'must be a data: URL',
    ],
    [[image({})], 'input[0].content[1].image_url', 'must be a data: URL'],
  ])('names the fault: %#', (input, param, words) => {
    const refused = responsesRefusal({ input });
    expect(refused).toMatchObject({ code: 'invalid_request', param });
    expect(refused.message).toContain(words);
  });

  it.each([
    [[image({ file_id: 'file_1' })], 'input[0].content[1].file_id', 'no files are kept here'],
    [
      [{ role: 'user', content: [{ type: 'input_file', file_url: 'x' }] }],
      'input[0].content[0].type',
      'files are not read here',
    ],
  ])('brings along what is not read here: %#', (input, param, words) => {
    const refused = responsesRefusal({ input });
    expect(refused).toMatchObject({ code: 'unsupported_parameter', param });
    expect(refused.message).toContain(words);
  });
});
