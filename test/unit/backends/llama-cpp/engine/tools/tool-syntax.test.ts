import { describe, expect, it } from 'vitest';
import {
  apriel,
  functools,
  granite,
  hermes,
  llama3,
  marksOf,
  mistralList,
  mistralNamed,
  nemotron,
  syntaxOfTemplate,
  writeCalls,
} from '../../../../../../src/backends/llama-cpp/engine/tools/tool-syntax.ts';

const CALLS = [
  { name: 'add', arguments: '{"a": 1}' },
  { name: 'now', arguments: '{}' },
];

describe('the syntax of calls', () => {
  it.each([
    ['Answer within <tool_call></tool_call>.', hermes],
    ['{{- "[TOOL_CALLS]" + name + "[ARGS]" + arguments }}', mistralNamed],
    ['{{- "[TOOL_CALLS][" }}', mistralList],
    ['respond only with <|tool_call|> followed by a JSON list', granite],
    ['<TOOLCALL>[…]</TOOLCALL>', nemotron],
    ["within <tool_call></tool_call>: '<tool_calls>['", apriel],
    ["{{ ' functools[' }}", functools],
    ['{"name": function name, "parameters": dictionary of argument name and its value}', llama3],
    ['<tool_call><function=name><parameter=a>1</parameter></function></tool_call>', undefined],
    ['<tool_call>name<arg_key>a</arg_key></tool_call>', undefined],
    ['{{ messages }}', undefined],
  ])('is chosen by the template: %s', (source, format) => {
    expect(syntaxOfTemplate(source)).toBe(format);
  });

  it.each([
    [
      hermes,
      '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>\n' +
        '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    ],
    [mistralNamed, '[TOOL_CALLS]add[ARGS]{"a": 1}[TOOL_CALLS]now[ARGS]{}'],
    [mistralList, '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}}, {"name": "now", "arguments": {}}]'],
    [llama3, '{"name": "add", "parameters": {"a": 1}}; {"name": "now", "parameters": {}}'],
    [
      nemotron,
      '<TOOLCALL>[{"name": "add", "arguments": {"a": 1}}, {"name": "now", "arguments": {}}]</TOOLCALL>',
    ],
  ])('writes calls as the model would', (format, written) => {
    expect(writeCalls(CALLS, format.format)).toBe(written);
  });

  it('names what has to be read although it may be special tokens', () => {
    expect(marksOf(hermes)).toEqual(['<tool_call>', '</tool_call>']);
    expect(marksOf(mistralNamed)).toEqual(['[TOOL_CALLS]', '[ARGS]', '[CALL_ID]']);
  });
});
