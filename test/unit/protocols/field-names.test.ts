import { expect, it } from 'vitest';
import { fieldIn } from '../../../src/protocols/field-names.ts';

it('names a field by its whole path, else by its root, else as it is', () => {
  const names = { 'messages[0].images': 'images', format: 'response.format' };
  expect(fieldIn(names, 'messages[0].images')).toBe('images');
  expect(fieldIn(names, 'messages[1].images')).toBe('messages[1].images');
  expect(fieldIn(names, 'format.properties[0]')).toBe('response.format.properties[0]');
  expect(fieldIn(names, 'constructor')).toBe('constructor');
});
