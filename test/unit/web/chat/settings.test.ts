import { expect, test } from 'vitest';
import { chatBody } from '../../../../web/chat/chat-body.ts';
import { problemOfAnswer } from '../../../../web/chat/json-check.ts';
import { EMPTY_SETTINGS, PARAMETERS, problemsOf, readTools } from '../../../../web/chat/settings.ts';

const question = { id: 'q', parent: undefined, role: 'user', text: 'hi' } as const;

test('only what is set is sent', () => {
  expect(chatBody([question], EMPTY_SETTINGS, 'demo')).toEqual({
    model: 'demo',
    messages: [{ role: 'user', content: 'hi' }],
  });
  const settings = {
    ...EMPTY_SETTINGS,
    system: 'Be short.',
    parameters: { temperature: '0', seed: ' 7 ', stop: 'a\n\nb', top_p: '', reasoning_effort: 'low' },
  };
  expect(chatBody([question], settings, 'demo')).toEqual({
    model: 'demo',
    messages: [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'hi' },
    ],
    temperature: 0,
    seed: 7,
    stop: ['a', 'b'],
    reasoning_effort: 'low',
  });
});

test.each([
  [{ parameters: { temperature: '3' } }, 'Temperature must be at most 2.'],
  [{ parameters: { seed: '1.5' } }, 'Seed must be a whole number.'],
  [{ parameters: { max_tokens: 'many' } }, 'Max tokens must be a number.'],
  [{ parameters: { stop: 'a\nb\nc\nd\ne' } }, 'Stop strings: at most 4 lines.'],
  [{ tools: '{}' }, 'The tools must be a list: [ … ].'],
  [{ tools: '[{"name":"no spaces"}]' }, 'Tool 1: a name has 1 to 64 letters, digits, _ or -.'],
  [{ schema: '[1]' }, 'The schema must be an object: { … }.'],
])('%j is told before anything is sent', (settings, problem) => {
  expect(problemsOf({ ...EMPTY_SETTINGS, ...settings })).toEqual([problem]);
});

test('the empty settings and every choice are valid', () => {
  expect(problemsOf(EMPTY_SETTINGS)).toEqual([]);
  for (const { name, choices = [] } of PARAMETERS)
    for (const choice of choices)
      expect(problemsOf({ ...EMPTY_SETTINGS, parameters: { [name]: choice } })).toEqual([]);
});

test('tools are taken as OpenAI writes them, or the function alone', () => {
  const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };
  expect(readTools(JSON.stringify([tool])).value).toEqual([tool]);
  expect(readTools(JSON.stringify([tool.function])).value).toEqual([tool]);
});

test('images and tool results have their place in the body, and an answer without words has none', () => {
  const image = 'data:image/png;base64,AA==';
  const { messages } = chatBody(
    [
      { ...question, images: [image] },
      { id: 'x', parent: 'q', role: 'assistant', text: '' },
      {
        id: 'a',
        parent: 'q',
        role: 'assistant',
        text: '',
        toolCalls: [{ id: 'c1', name: 'f', arguments: '{}' }],
      },
      { id: 't', parent: 'a', role: 'tool', text: '21', toolCallId: 'c1' },
    ],
    EMPTY_SETTINGS,
    'demo',
  );
  expect(messages).toEqual([
    {
      role: 'user',
      content: [
        { type: 'text', text: 'hi' },
        { type: 'image_url', image_url: { url: image } },
      ],
    },
    {
      role: 'assistant',
      content: '',
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    },
    { role: 'tool', content: '21', tool_call_id: 'c1' },
  ]);
});

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, tags: { type: 'array', items: { enum: ['a', 'b'] } } },
  required: ['city'],
  additionalProperties: false,
};

test.each([
  ['{"city":"Rome","tags":["a"]}', undefined],
  ['{"city":', 'The answer is not JSON.'],
  ['[]', 'The answer must be object.'],
  ['{}', 'The answer lacks city.'],
  ['{"city":1}', 'The answer.city must be string.'],
  ['{"city":"x","tags":["a","c"]}', 'The answer.tags[1] is none of the values of enum.'],
  ['{"city":"x","more":1}', 'The answer has more, which the schema does not allow.'],
])('of %s the check says %s', (text, problem) => {
  expect(problemOfAnswer(text, SCHEMA)).toBe(problem);
});
