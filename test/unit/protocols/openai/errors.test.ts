import { expect, it } from 'vitest';
import { ServingError } from '../../../../src/core/errors.ts';
import { openAiError } from '../../../../src/protocols/openai/errors.ts';

it('says that a prompt is too long in the words that clients look for', () => {
  const error = new ServingError('context_length_exceeded', { message: 'The prompt has 20 tokens.' });
  expect(openAiError(error).error).toMatchObject({
    code: 'context_length_exceeded',
    message: 'This is beyond the model’s maximum context length: The prompt has 20 tokens.',
  });
});

it('leaves other messages as they are', () => {
  const { message } = openAiError(new ServingError('invalid_request', { message: 'No.' })).error;
  expect(message).toBe('No.');
});
