/**
 * The Jinja template that a GGUF file carries, rendered by llama.cpp's own engine: what comes out is what
 * llama.cpp's server makes of the same conversation.
 */
import type { ChatTemplate, Conversation } from './chat-template.ts';
import type { JinjaRenderer } from './library.ts';
import { abilitiesOf, type TemplateAbilities } from './template-abilities.ts';
import {
  CONCESSIONS,
  contentAsParts,
  systemToUser,
  type TemplateMessage,
  toTemplateMessages,
  toTemplateTools,
} from './template-messages.ts';
import { formatOfTemplate, hermes } from './tools/tool-format.ts';
import { spellOutCalls, spellOutTools } from './tools/tool-instructions.ts';

export interface JinjaTemplateOptions {
  readonly source: string;
  readonly renderer: JinjaRenderer;
  /** The texts of these tokens; empty where the model has none. */
  readonly bosToken: string;
  readonly eosToken: string;
}

/** The switches that templates have for it, and the tags that they look for in earlier answers. */
const SPEAKS_OF_THINKING = /thinking|<\/?think>/;

export function jinjaTemplate({ source, renderer, ...tokens }: JinjaTemplateOptions): ChatTemplate {
  const always = { bos_token: tokens.bosToken, eos_token: tokens.eosToken, add_generation_prompt: true };
  const abilities = abilitiesOf((variables) =>
    renderer.render({ ...always, ...dates(), ...switches(false), ...variables }),
  );
  const own = abilities.tools ? formatOfTemplate(source) : undefined;
  return {
    thinks: SPEAKS_OF_THINKING.test(source),
    toolFormat: own ?? hermes,
    render(conversation) {
      const { messages, tools } = own ? withOwnTools(conversation, abilities) : withoutTools(conversation);
      const shaped = shape(messages, abilities);
      const variables = {
        ...always,
        ...dates(),
        ...switches(conversation.thinking),
        ...(tools.length > 0 && { tools: toTemplateTools(tools) }),
      };
      return firstAccepted(shaped, (accepted) => renderer.render({ ...variables, messages: accepted }));
    },
  };

  function withOwnTools(conversation: Conversation, { calls }: TemplateAbilities): Conversation {
    if (calls) return conversation;
    const spelled = conversation.messages.map((message) =>
      message.role === 'assistant' ? spellOutCalls(message, own?.written) : message,
    );
    return { ...conversation, messages: spelled };
  }
}

function withoutTools({ messages, tools, thinking }: Conversation): Conversation {
  return { messages: spellOutTools(messages, tools), tools: [], thinking };
}

function shape(messages: Conversation['messages'], abilities: TemplateAbilities): readonly TemplateMessage[] {
  const objects = abilities.objectArguments;
  const plain = toTemplateMessages(messages, { objects });
  const addressed = abilities.system ? plain : systemToUser(plain);
  return abilities.partsOnly ? contentAsParts(addressed) : addressed;
}

/** The template will not have the conversation: a fault of the request. */
export class ConversationRefusedError extends Error {}

/** Throws what the template says against the conversation as it stands when it refuses every way to say it. */
function firstAccepted(
  messages: readonly TemplateMessage[],
  render: (messages: readonly TemplateMessage[]) => string,
): string {
  let refusal: { readonly reason: unknown } | undefined;
  let said = messages;
  for (const concede of CONCESSIONS) {
    said = concede(said);
    try {
      return render(said);
    } catch (reason) {
      refusal ??= { reason };
    }
  }
  throw toRefusal(refusal?.reason);
}

/** `raise_exception()` is how templates refuse; anything else is the renderer's own trouble. */
function toRefusal(reason: unknown): unknown {
  const said = reason instanceof Error ? /Jinja Exception: (.*)/.exec(reason.message)?.[1] : undefined;
  return said === undefined ? reason : new ConversationRefusedError(said, { cause: reason });
}

/** Templates call the switch by either of the first two names, and the level by the third. */
function switches(thinking: Conversation['thinking']) {
  const on = thinking !== false;
  return {
    enable_thinking: on,
    thinking: on,
    ...(typeof thinking === 'string' && { reasoning_effort: thinking }),
  };
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** As llama.cpp gives them; some templates have a date of years ago otherwise. */
function dates(now = new Date()) {
  const day = String(now.getDate()).padStart(2, '0');
  const month = MONTHS[now.getMonth()];
  return {
    date_string: `${day} ${month} ${now.getFullYear()}`,
    datetime: `${month} ${day} ${now.getFullYear()}`,
  };
}
