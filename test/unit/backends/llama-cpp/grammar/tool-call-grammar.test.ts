/** Calls of tools: their frame, their names, their arguments, one or several. */

import { describe, expect, it } from 'vitest';
import { hermes } from '../../../../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';
import {
  type ToolCallGrammarOptions,
  toolCallGrammar,
} from '../../../../../src/backends/llama-cpp/grammar/answer-grammar.ts';
import { engineOrSkip, grammarEngine } from '../../../../support/grammar-engine.ts';

const engine = await grammarEngine();

const WEATHER = {
  name: 'get_weather',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { $ref: '#/$defs/unit' } },
    required: ['city'],
    $defs: { unit: { enum: ['C', 'F'] } },
  },
};
const placed = (tools: readonly ToolCallGrammarOptions['tools'][number]['tool'][]) =>
  tools.map((tool, index) => ({ tool, param: `tools[${index}].parameters` }));
const FORMAT = hermes.format;
const OPTIONS: ToolCallGrammarOptions = {
  tools: placed([WEATHER, { name: 'now' }, { name: 'get_weather_2', parameters: { type: 'object' } }]),
  format: FORMAT,
  single: false,
};
const call = (text: string) => `<tool_call>\n${text}\n</tool_call>`;

const CASES: readonly (readonly [
  what: string,
  options: Partial<ToolCallGrammarOptions>,
  valid: readonly string[],
  invalid: readonly string[],
])[] = [
  [
    'a call with its arguments',
    {},
    [
      call('{"name": "get_weather", "arguments": {"city": "Rome"}}'),
      call('{"name": "get_weather", "arguments": {"city":"Rome","unit":"C"}}'),
      call('{"name": "now", "arguments": {}}'),
      call('{"name": "get_weather_2", "arguments": {"any": [1]}}'),
    ],
    [
      '{"name": "now", "arguments": {}}',
      call('{"name": "then", "arguments": {}}'),
      call('{"name": "get_weather", "arguments": {}}'),
      call('{"name": "now", "arguments": {"a": 1}}'),
      call('{"arguments": {}, "name": "now"}'),
      call('{"name": "now"}'),
      '',
    ],
  ],
  [
    'several calls',
    {},
    [1, 2, 8].map((count) => Array(count).fill(call('{"name": "now", "arguments": {}}')).join('\n')),
    [Array(9).fill(call('{"name": "now", "arguments": {}}')).join('\n')],
  ],
  [
    'exactly one call',
    { single: true },
    [call('{"name": "now", "arguments": {}}')],
    [Array(2).fill(call('{"name": "now", "arguments": {}}')).join('\n')],
  ],
  [
    'another frame',
    {
      format: {
        ...FORMAT,
        opens: '[TOOL_CALLS][',
        callBegins: '{"name": "',
        callEnds: '}',
        between: ', ',
        closes: ']',
      },
    },
    [
      '[TOOL_CALLS][{"name": "now", "arguments": {}}]',
      '[TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "now", "arguments": {}}]',
    ],
    ['{"name": "now", "arguments": {}}', '[TOOL_CALLS][]'],
  ],
  [
    'a form of one call only',
    { format: { ...FORMAT, several: false } },
    [call('{"name": "now", "arguments": {}}')],
    [Array(2).fill(call('{"name": "now", "arguments": {}}')).join('\n')],
  ],
];

describe('calls of tools', () => {
  it.for(CASES)('%s', async ([_, options, valid, invalid], context) => {
    const { gbnf } = toolCallGrammar({ ...OPTIONS, ...options });
    const reader = engineOrSkip(engine, context);
    for (const text of valid) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, true]);
    for (const text of invalid) expect([text, await reader.accepts(gbnf, text)]).toEqual([text, false]);
  });

  it.each([
    ['no tools', [], 'tools', /at least one/],
    ['two of one name', [{ name: 'a' }, { name: 'a' }], 'tools', /same name/],
    [
      'arguments that are no object',
      [{ name: 'a', parameters: { type: 'string' } }],
      'tools[0].parameters',
      /must describe an object/,
    ],
    [
      'arguments of any type',
      [{ name: 'a', parameters: {} }],
      'tools[0].parameters',
      /must describe an object/,
    ],
    [
      'a schema that is not supported',
      [{ name: 'a' }, { name: 'b', parameters: { type: 'object', properties: { x: { not: {} } } } }],
      'tools[1].parameters.properties.x.not',
      /not supported/,
    ],
    ['too many', Array.from({ length: 129 }, (_, index) => ({ name: `t${index}` })), 'tools', /At most 128/],
  ])('are refused for %s', (_, tools, param, message) => {
    expect(() => toolCallGrammar({ ...OPTIONS, tools: placed(tools) })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param, message: expect.stringMatching(message) }),
    );
  });
});
