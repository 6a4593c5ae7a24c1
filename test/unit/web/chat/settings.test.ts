import { expect, test } from 'vitest';
import { ChatBody } from '../../../../src/protocols/openai/chat/schema.ts';
import { compileCheck } from '../../../../src/schema/violation.ts';
import { chatBody } from '../../../../web/chat/chat-body.ts';
import { problemOfAnswer } from '../../../../web/chat/json-check.ts';
import {
  EMPTY_SETTINGS,
  PARAMETERS,
  type Parameter,
  problemsOf,
  readParameter,
  readTools,
} from '../../../../web/chat/settings.ts';

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
  [{ parameters: { seed: '1.5' } }, 'Seed must be a whole number, in digits alone.'],
  [{ parameters: { max_tokens: 'many' } }, 'Max tokens must be a whole number, in digits alone.'],
  ...['1,000', '1.000', '1 000', '0x10', '1e3'].map((text) => [
    { parameters: { max_tokens: text } },
    'Max tokens must be a whole number, in digits alone.',
  ]),
  [{ parameters: { seed: '99999999999999999999' } }, 'Seed must be at most 9007199254740991.'],
  [{ parameters: { repetition_penalty: '0' } }, 'Repetition penalty must be above 0.'],
  [{ parameters: { temperature: '1e0' } }, 'Temperature must be a number.'],
  [{ parameters: { temperature: '1.5.2' } }, 'Temperature must be a number.'],
  [{ parameters: { stop: 'a\n'.repeat(65) } }, 'Stop strings: at most 64 lines.'],
  [{ tools: '{}' }, 'The tools must be a list: [ … ].'],
  [{ tools: '[{"name":"no spaces"}]' }, 'Tool 1: a name has 1 to 64 letters, digits, _ or -.'],
  [{ schema: '[1]' }, 'The schema must be an object: { … }.'],
])('%j is told before anything is sent', (settings, problem) => {
  expect(problemsOf({ ...EMPTY_SETTINGS, ...settings })).toEqual([problem]);
});

test.each([
  ['temperature', '0,7', 0.7],
  ['temperature', '.5', 0.5],
  ['temperature', '1.', 1],
  ['presence_penalty', '-1.5', -1.5],
  ['presence_penalty', '−1.5', -1.5],
  ['max_tokens', '1000', 1000],
] as const)('%s written as %s is sent as %s', (name, text, value) => {
  const settings = { ...EMPTY_SETTINGS, parameters: { [name]: text } };
  expect(problemsOf(settings)).toEqual([]);
  expect(chatBody([question], settings, 'demo')[name]).toBe(value);
});

test('the bounds are those of the API: what the page takes, the server takes', () => {
  const body = chatBody([question], EMPTY_SETTINGS, 'demo');
  const check = compileCheck(ChatBody);
  /** Whether the page and the server agree about a value, and what they say. */
  const verdict = (parameter: Parameter, written: string, value: unknown = Number(written)) => {
    const page = readParameter(parameter, written).problem === undefined;
    const server = 'value' in check({ ...body, [parameter.name]: value });
    return page === server ? page : `page ${page}, server ${server}`;
  };
  for (const parameter of PARAMETERS) {
    const { name, kind, min, above, max, choices = [] } = parameter;
    const verdicts = (...values: readonly number[]) =>
      values.map((value) => verdict(parameter, String(value)));
    const step = kind === 'integer' ? 1 : 0.25;
    if (min !== undefined) expect([name, verdicts(min, min - step)]).toEqual([name, [true, false]]);
    if (above !== undefined) expect([name, verdicts(above + 0.01, above)]).toEqual([name, [true, false]]);
    if (kind === 'lines') {
      const lines = (count: number) => Array.from({ length: count }, (_, at) => `line ${at}`);
      for (const count of [max ?? 0, (max ?? 0) + 1])
        expect(verdict(parameter, lines(count).join('\n'), lines(count))).toBe(count <= (max ?? 0));
    } else if (max !== undefined) expect([name, verdicts(max, max + step)]).toEqual([name, [true, false]]);
    for (const choice of choices)
      expect([choice, verdict(parameter, choice, choice)]).toEqual([choice, true]);
  }
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
