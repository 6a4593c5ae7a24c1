import { describe, expect, it } from 'vitest';
import { fieldIn } from '../../../src/protocols/field-names.ts';

const NAMES = {
  think: 'reasoning_effort',
  format: 'response_format',
  'format.*': 'response_format.json_schema.schema',
  'messages[].images': 'messages[].content',
};

describe('a native field in the words of another protocol', () => {
  it.each([
    ['think', 'reasoning_effort'],
    ['temperature', 'temperature'],
    ['format', 'response_format'],
    ['format.properties.a', 'response_format.json_schema.schema.properties.a'],
    ['messages[12].images', 'messages[12].content'],
    ['messages[0].role', 'messages[0].role'],
    ['constructor', 'constructor'],
    ['', ''],
  ])('%s is %s', (native, named) => {
    expect(fieldIn(NAMES, native)).toBe(named);
  });
});
