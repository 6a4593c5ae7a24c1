import { expect, it } from 'vitest';
import { ServingError } from '../../../src/core/errors.ts';
import { renameErrorField, renameField } from '../../../src/protocols/field-errors.ts';

const NAMES = { format: 'response_format.json_schema.schema', think: 'reasoning_effort' };

it.each([
  ['think', 'reasoning_effort'],
  ['format.properties.a', 'response_format.json_schema.schema.properties.a'],
  ['format[0]', 'response_format.json_schema.schema[0]'],
  ['formatted', 'formatted'],
  ['constructor', 'constructor'],
  ['', ''],
])('%s is called %s', (field, name) => {
  expect(renameField(NAMES, field)).toBe(name);
});

it('an error keeps its code, its message begins with the name that the client knows', () => {
  const error = new ServingError('unsupported_parameter', {
    message: 'think is set, but this model cannot think.',
    param: 'think',
  });
  expect(renameErrorField(NAMES, error)).toMatchObject({
    code: 'unsupported_parameter',
    param: 'reasoning_effort',
    message: 'reasoning_effort is set, but this model cannot think.',
  });
});

it('an error about no field, or one of the same name, is left as it is', () => {
  for (const error of [
    new ServingError('queue_full'),
    new ServingError('invalid_request', { param: 'seed' }),
  ]) {
    expect(renameErrorField(NAMES, error)).toBe(error);
    expect(renameErrorField(undefined, error)).toBe(error);
  }
});
