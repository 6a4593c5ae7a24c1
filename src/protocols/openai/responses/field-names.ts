/** What native fields are called in the body of a response. */
import type { FieldNames } from '../../route-base.ts';

export const fieldNames: FieldNames = {
  // What is asked before them, and turns that were joined, shift the numbers of messages.
  messages: (rest) => (rest.endsWith('.images') ? 'input.image_url' : 'input'),
  prompt: 'input',
  max_tokens: 'max_output_tokens',
  repeat_penalty: 'repetition_penalty',
  format: (rest) => (rest === '' ? 'text.format' : `text.format.schema${rest}`),
  think: 'reasoning.effort',
  logprobs: 'include',
};
