/** What a model said before becomes one message of the core: its text, its thoughts and its calls. */
import type { Message, ToolCall } from '../../core/generation.ts';
import type { CallLedger } from '../call-ledger.ts';
import { refuseDeepNesting } from '../nesting.ts';
import { readContent } from './content.ts';
import { Prose } from './prose.ts';
import { blocksOf, type Turn } from './turns.ts';

const ASSISTANT_BLOCKS = ['text', 'thinking', 'redacted_thinking', 'tool_use'] as const;
type AssistantBlock = (typeof ASSISTANT_BLOCKS)[number];

export function assistantTurn(turn: Turn, ledger: CallLedger): Message {
  const said = new Prose();
  const thought = new Prose();
  const calls: { readonly call: ToolCall; readonly idPath: string }[] = [];
  const where = 'a message with role "assistant"';
  for (const { placed, between } of blocksOf(turn, (content, path) =>
    readContent<AssistantBlock>(content, path, { types: ASSISTANT_BLOCKS, where }),
  )) {
    const { block, path } = placed;
    switch (block.type) {
      case 'text':
        said.say(block.text, between);
        break;
      case 'thinking':
        thought.say(block.thinking, between);
        break;
      case 'redacted_thinking':
        // Nobody here can read it.
        break;
      case 'tool_use': {
        refuseDeepNesting(block.input, `${path}.input`);
        const { id, name, input } = block;
        calls.push({ call: { id, name, arguments: JSON.stringify(input) }, idPath: `${path}.id` });
        break;
      }
      default:
        block satisfies never;
    }
  }
  ledger.made(calls.map(({ call: { id }, idPath }) => ({ id, idPath })));
  return {
    role: 'assistant',
    content: said.text,
    ...(!thought.isEmpty && { reasoning: thought.text }),
    ...(calls.length > 0 && { toolCalls: calls.map(({ call }) => call) }),
  };
}
