import { expect, it } from 'vitest';
import { fieldIn } from '../../../../src/protocols/field-names.ts';
import { fieldNames } from '../../../../src/protocols/openai/chat/field-names.ts';

it.each([
  ['think', 'reasoning_effort'],
  ['temperature', 'temperature'],
  ['format', 'response_format'],
  ['format.properties.a', 'response_format.json_schema.schema.properties.a'],
  ['messages[12].images', 'messages[12].content.image_url'],
  ['messages[0].role', 'messages[0].role'],
  ['messages[1].tool_calls[0].arguments', 'messages[1].tool_calls[0].function.arguments'],
  ['tools', 'tools'],
  ['tools[3].parameters.properties.name', 'tools[3].function.parameters.properties.name'],
  ['tool_choice', 'tool_choice'],
  ['tool_choice.name', 'tool_choice.function.name'],
  ['constructor', 'constructor'],
  ['', ''],
])('the native field %s is %s in a chat', (native, named) => {
  expect(fieldIn(fieldNames, native)).toBe(named);
});
