/**
 * The Jinja template that a GGUF file carries, rendered by llama.cpp's own engine: what comes out is what
 * llama.cpp's server makes of the same conversation.
 */
import type { Message } from '../../../core/generation.ts';
import { plainTurns } from '../../../core/plain-turns.ts';
import type { ChatTemplate, Conversation } from './chat-template.ts';
import type { JinjaRenderer } from './native.ts';
import { abilitiesOf, type TemplateAbilities, type TemplateVariables } from './template-abilities.ts';
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

export function jinjaTemplate({ source, renderer, bosToken, eosToken }: JinjaTemplateOptions): ChatTemplate {
  const always = { bos_token: bosToken, eos_token: eosToken };
  const render = (
    { thinking, continuesLast }: Pick<Conversation, 'thinking' | 'continuesLast'>,
    variables: TemplateVariables,
  ): string => {
    const add_generation_prompt = continuesLast !== true;
    return renderer.render({
      ...always,
      add_generation_prompt,
      ...dates(),
      ...switches(thinking),
      ...variables,
    });
  };
  const abilities = abilitiesOf((variables) => render({ thinking: false }, variables));
  /** Absent: tools are spelled out, in a form that is read here. */
  const ownFormat = abilities.tools ? formatOfTemplate(source) : undefined;
  const withCalls = (messages: readonly Message[]): readonly Message[] =>
    ownFormat === undefined || abilities.calls ? messages : spellOutCalls(messages, ownFormat.written);
  return {
    thinks: SPEAKS_OF_THINKING.test(source),
    toolFormat: ownFormat ?? hermes,
    render({ messages: given, tools, ...asked }) {
      const told = ownFormat ? tools : [];
      const messages = abilities.laterSystem ? given : withOneSystem(given);
      const said = ownFormat ? withCalls(messages) : spellOutTools(messages, tools);
      const listed = told.length > 0 && { tools: toTemplateTools(told) };
      return firstAccepted(shape(said, abilities), (accepted) =>
        render(asked, { messages: accepted, ...listed }),
      );
    },
  };
}

/** A conversation without a second system message stays as it is. */
function withOneSystem(messages: readonly Message[]): readonly Message[] {
  return messages.slice(1).some(({ role }) => role === 'system') ? plainTurns(messages) : messages;
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
  if (thinking === undefined) return {};
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
