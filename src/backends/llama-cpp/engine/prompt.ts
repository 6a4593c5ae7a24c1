/**
 * Makes the tokens of a prompt, and says what the answer to it is made of. Whole texts are tokenized wherever they
 * can be, so that the tokens are those that llama.cpp itself finds in the prompt.
 */
import type { TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { ChatTemplate, Conversation } from './chat-template.ts';
import type { Model, Token } from './library.ts';
import { PlainText, randomMark, specialTokenPattern } from './plain-text.ts';
import { type PromptBytes, refuseBeyond } from './prompt-bytes.ts';
import { THOUGHT_BEGINS, THOUGHT_ENDS } from './reasoning-splitter.ts';
import { chunkedTokenize } from './text-tokens.ts';
import type { ToolFormat } from './tools/tool-format.ts';

/** What the answer begins with: never a thought, perhaps one, or the rest of one that the prompt has opened. */
export type Thought = 'none' | 'possible' | 'begun';

export interface EncodedPrompt {
  readonly tokens: Token[];
  readonly thought: Thought;
  /** The form in which the answer may call tools; absent: it has none to call. */
  readonly toolFormat?: ToolFormat;
}

export interface PromptEncoder {
  /** Throws a ServingError where the prompt is longer than any that fits. */
  encode(order: TokenizeRequest): EncodedPrompt;
}

/** `bytes` absent: prompts of any length are read. */
export function createPromptEncoder(
  model: Model,
  template: ChatTemplate,
  bytes?: PromptBytes,
): PromptEncoder {
  const tokenize = chunkedTokenize(model);
  const specialTokens = specialTokenPattern(model);
  const { bos, shouldPrependBosToken } = model.tokens;
  const begun = (tokens: Token[]): Token[] =>
    shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  return {
    encode({ input, thinking, tools, addSpecial = true }) {
      if (input.kind === 'text') {
        if (bytes !== undefined) refuseBeyond(bytes, input.prompt, 'prompt');
        const tokens = tokenize(input.prompt, true);
        return { tokens: addSpecial ? begun(tokens) : tokens, thought: 'none' };
      }
      if (input.kind === 'tokens') return { tokens: [...input.tokens], thought: 'none' };
      // A model that may not call is told of no tools: one that is would call them in its text.
      const offered = tools === undefined || tools.choice === 'none' ? [] : tools.tools;
      const plain = new PlainText(tokenize, specialTokens);
      const conversation = {
        messages: input.messages.map((message) => plain.message(message)),
        tools: offered.map((tool) => plain.tool(tool)),
        ...(thinking !== undefined && { thinking }),
      };
      const text = input.continuesLast ? begunText(template, conversation) : template.render(conversation);
      if (bytes !== undefined) refuseBeyond(bytes, plain.putBack(text), 'messages');
      return {
        tokens: begun(plain.encode(text)),
        thought: template.thinks ? thoughtAfter(text, conversation, input.continuesLast) : 'none',
        ...(offered.length > 0 && { toolFormat: template.toolFormat }),
      };
    },
  };
}

/** The conversation up to the end of what its last message says: templates go on from there, and may trim what is at an end. */
function begunText(template: ChatTemplate, conversation: Conversation): string {
  const mark = randomMark();
  const messages = conversation.messages.map((message, index, { length }) =>
    index === length - 1 ? { ...message, content: message.content + mark } : message,
  );
  const text = template.render({ ...conversation, messages, continuesLast: true });
  const end = text.lastIndexOf(mark);
  if (end !== -1) return text.slice(0, end);
  throw new ServingError('unsupported_parameter', {
    message:
      'continue_final_message is not supported by this model: its chat template leaves out what the last message says. ' +
      'Leave it away, or use another model.',
    param: 'continue_final_message',
  });
}

function thoughtAfter(text: string, { messages }: Conversation, continuesLast?: true): Thought {
  const said = messages.at(-1)?.content ?? '';
  // What the client has begun is the answer already, unless it has begun a thought.
  if (continuesLast && said.trim() !== '')
    return said.lastIndexOf(THOUGHT_BEGINS) > said.lastIndexOf(THOUGHT_ENDS) ? 'begun' : 'none';
  const end = text.trimEnd();
  if (!end.endsWith(THOUGHT_BEGINS)) return 'possible';
  // Where nothing follows the last message, it may be the one that ends so.
  const last = messages.at(-1)?.content.trimEnd() ?? '';
  return last.endsWith(THOUGHT_BEGINS) && end.endsWith(last) ? 'possible' : 'begun';
}
