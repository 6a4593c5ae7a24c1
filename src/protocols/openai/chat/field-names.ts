/** What native fields are called in a chat's body. */
import type { FieldNames } from '../../route-base.ts';

export const fieldNames: FieldNames = {
  format: (rest) => (rest === '' ? 'response_format' : `response_format.json_schema.schema${rest}`),
  messages: fieldOfMessage,
  prompt: 'messages',
  repeat_penalty: 'repetition_penalty',
  think: 'reasoning_effort',
  tool_choice: (rest) => `tool_choice${rest.replace(/^\.name/, '.function.name')}`,
  tools: (rest) => `tools${rest.replace(/^(\[\d+\])\./, '$1.function.')}`,
};

export function fieldOfMessage(rest: string): string {
  const named = rest.replace(/\.images$/, '.content.image_url');
  return `messages${named.replace(/(\.tool_calls\[\d+\])\.(name|arguments)/, '$1.function.$2')}`;
}
