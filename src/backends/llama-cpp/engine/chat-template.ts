/**
 * Lays a conversation out as the model was trained to read it. A template gives parts rather than one string, so
 * that what a user wrote can never be taken for the template's own special tokens.
 */
import type { Message, ThinkingWish } from '../../../core/generation.ts';
import type { ChatTemplateName } from '../messages.ts';
import type { BuiltinToken, ChatHistoryItem, ChatWrapper, Library } from './library.ts';

export type PromptPart =
  /** The template's own text: special tokens in it are parsed. */
  | { readonly kind: 'template'; readonly text: string }
  /** Somebody's words: plain text whatever they look like. */
  | { readonly kind: 'content'; readonly text: string }
  | { readonly kind: 'builtin'; readonly token: BuiltinToken };

export interface ChatTemplate {
  /** Made for a model that can think; others are never asked to. */
  readonly thinks: boolean;
  layOut(messages: readonly Message[], thinking: ThinkingWish): readonly PromptPart[];
}

/** ChatML as it stands, without a system message that nobody asked for. */
export const chatml: ChatTemplate = {
  thinks: false,
  layOut: (messages) => [
    ...messages.flatMap(({ role, content }): PromptPart[] => [
      { kind: 'template', text: `<|im_start|>${role}\n` },
      { kind: 'content', text: content },
      { kind: 'template', text: '<|im_end|>\n' },
    ]),
    { kind: 'template', text: '<|im_start|>assistant\n' },
  ],
};

/** The switches that templates have for it, and the tags that they look for in earlier answers. */
const SPEAKS_OF_THINKING = /thinking|<\/?think>/;

/** The Jinja template that a GGUF file carries. */
export function jinjaTemplate(
  source: string,
  { JinjaTemplateChatWrapper }: Pick<Library, 'JinjaTemplateChatWrapper'>,
): ChatTemplate {
  const wrapperFor = (reasoning: boolean, joinAdjacentMessagesOfTheSameType: boolean): ChatWrapper =>
    new JinjaTemplateChatWrapper({
      template: source,
      reasoning,
      functionCallMessageTemplate: 'noJinja',
      joinAdjacentMessagesOfTheSameType,
      trimLeadingWhitespaceInResponses: false,
      // Some templates name the switch so; the other name is the library's affair.
      additionalRenderParameters: { add_generation_prompt: true, thinking: reasoning },
    });
  const wrappers = new Map<string, ChatWrapper>();
  const render = (messages: readonly Message[], reasoning: boolean, join: boolean): readonly PromptPart[] => {
    const key = `${reasoning} ${join}`;
    const wrapper = wrappers.get(key) ?? wrapperFor(reasoning, join);
    wrappers.set(key, wrapper);
    const { contextText } = wrapper.generateContextState({ chatHistory: toHistory(messages) });
    return contextText.values.map(toPart);
  };
  return {
    thinks: SPEAKS_OF_THINKING.test(source),
    layOut(messages, thinking) {
      const reasoning = thinking !== false;
      try {
        return render(messages, reasoning, false);
      } catch {
        // Some templates refuse two messages of one role in a row; joined, the conversation is the same.
        return render(messages, reasoning, true);
      }
    },
  };
}

export function chooseTemplate(options: {
  readonly name: ChatTemplateName;
  readonly source: string | undefined;
  readonly library: Library;
}): ChatTemplate {
  if (options.name === 'chatml' || options.source === undefined) return chatml;
  return jinjaTemplate(options.source, options.library);
}

/**
 * The template itself writes how the answer begins, which is where it opens or closes a thought. After a message of
 * the model the library would go on with that one: there an empty message begins the answer.
 */
function toHistory(messages: readonly Message[]): ChatHistoryItem[] {
  const items = messages.map(
    ({ role, content }): ChatHistoryItem =>
      role === 'assistant'
        ? { type: 'model', response: [content] }
        : { type: role === 'tool' ? 'user' : role, text: content },
  );
  return items.at(-1)?.type === 'model' ? [...items, { type: 'model', response: [''] }] : items;
}

/** The library's parts: a string is content; an object is text of the template or a token by its name. */
function toPart(value: unknown): PromptPart {
  if (typeof value === 'string') return { kind: 'content', text: value };
  const { type, value: text } = (value as { toJSON(): { type: string; value: string } }).toJSON();
  return type === 'specialToken'
    ? { kind: 'builtin', token: text as BuiltinToken }
    : { kind: 'template', text };
}
