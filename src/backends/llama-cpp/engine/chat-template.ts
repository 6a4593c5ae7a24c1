/** Lays a conversation out as the model was trained to read it: one text, ready to be tokenized. */
import type { Message, ThinkingWish, Tool } from '../../../core/generation.ts';
import { hermes, type ToolFormat } from './tools/tool-format.ts';
import { spellOutTools } from './tools/tool-instructions.ts';

export interface Conversation {
  readonly messages: readonly Message[];
  /** Empty: the model is told of none. */
  readonly tools: readonly Tool[];
  /** Absent: nothing is said of it. */
  readonly thinking?: ThinkingWish;
  /** The text ends with the last message: no answer is begun after it. */
  readonly continuesLast?: true | undefined;
}

export interface ChatTemplate {
  /** Made for a model that can think; others are never asked to. */
  readonly thinks: boolean;
  /** The form in which the model is asked to call tools. */
  readonly toolFormat: ToolFormat;
  /** Throws where the template refuses the conversation. */
  render(conversation: Conversation): string;
}

/** ChatML as it stands, without a system message that nobody asked for. */
export const chatml: ChatTemplate = {
  thinks: false,
  toolFormat: hermes,
  render({ messages, tools, continuesLast }) {
    const turns = spellOutTools(messages, tools).map(
      ({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`,
    );
    return continuesLast ? turns.join('') : `${turns.join('')}<|im_start|>assistant\n`;
  },
};
