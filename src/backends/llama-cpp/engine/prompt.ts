/**
 * Makes the tokens of a prompt, and says what the answer to it is made of. Whole texts are tokenized wherever they
 * can be, so that the tokens are those that llama.cpp itself finds in the prompt.
 */
import type { TokenizeRequest } from '../../../core/backend.ts';
import type { ChatTemplate, Conversation } from './chat-template.ts';
import type { Model, Token } from './library.ts';
import { PlainText, specialTokenPattern } from './plain-text.ts';
import { type PromptBytes, refuseBeyond } from './prompt-bytes.ts';
import { THOUGHT_BEGINS } from './reasoning-splitter.ts';
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
      // A model that may not call is told of no tools: one that is would call them in its text.
      const offered = tools === undefined || tools.choice === 'none' ? [] : tools.tools;
      const plain = new PlainText(tokenize, specialTokens);
      const conversation = {
        messages: input.messages.map((message) => plain.message(message)),
        tools: offered.map((tool) => plain.tool(tool)),
        ...(thinking !== undefined && { thinking }),
      };
      const text = template.render(conversation);
      if (bytes !== undefined) refuseBeyond(bytes, plain.putBack(text), 'messages');
      return {
        tokens: begun(plain.encode(text)),
        thought: template.thinks ? thoughtAfter(text, conversation) : 'none',
        ...(offered.length > 0 && { toolFormat: template.toolFormat }),
      };
    },
  };
}

function thoughtAfter(text: string, { messages }: Conversation): Thought {
  const end = text.trimEnd();
  if (!end.endsWith(THOUGHT_BEGINS)) return 'possible';
  // Where nothing follows the last message, it may be the one that ends so.
  const last = messages.at(-1)?.content.trimEnd() ?? '';
  return last.endsWith(THOUGHT_BEGINS) && end.endsWith(last) ? 'possible' : 'begun';
}
