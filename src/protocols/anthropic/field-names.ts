/** Native fields in the words of this API. Messages are counted differently here, so what is wrong in one is named by its kind. */
import type { FieldNames } from '../route-base.ts';

export const fieldNames: FieldNames = {
  stop: 'stop_sequences',
  think: 'thinking',
  format: 'output_config.format.schema',
  parallel_tool_calls: 'tool_choice.disable_parallel_tool_use',
  prompt: 'messages',
  continue_final_message: 'messages: an assistant message at the end',
  tools: (rest) => `tools${rest.replace(/^(\[\d+\])\.parameters/, '$1.input_schema')}`,
  messages: (rest) => {
    if (rest.endsWith('.images')) return 'messages: an image';
    if (rest.endsWith('.tool_calls')) return 'messages: a tool_use';
    return rest.endsWith('.role') ? 'messages: a tool_result' : 'messages';
  },
};
