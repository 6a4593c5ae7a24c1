/** Lays a conversation out as the model was trained to read it: one text, ready to be tokenized. */

import type { Message, ReasoningEffort, Tool } from '../../../core/generation.ts';
import { normalizeTurns } from '../../../core/normalize-turns.ts';
import type { JinjaRenderer } from './native.ts';
import {
  contentAsParts,
  FALLBACKS,
  systemToUser,
  type TemplateMessage,
  toTemplateMessages,
  toTemplateTools,
} from './template-messages.ts';
import {
  formatOfTemplate,
  hermes,
  spellOutCalls,
  spellOutTools,
  type ToolFormat,
} from './tools/tool-format.ts';

export interface Conversation {
  readonly messages: readonly Message[];
  /** Empty: the model is told of none. */
  readonly tools: readonly Tool[];
  /** Absent: nothing is said of it. */
  readonly thinking?: ReasoningEffort;
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

/**
 * The Jinja template that a GGUF file carries, rendered by llama.cpp's own engine: what comes out is what
 * llama.cpp's server makes of the same conversation.
 */

interface JinjaTemplateOptions {
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
  return messages.slice(1).some(({ role }) => role === 'system') ? normalizeTurns(messages) : messages;
}

function shape(messages: Conversation['messages'], abilities: TemplateAbilities): readonly TemplateMessage[] {
  const objects = abilities.objectArguments;
  const plain = toTemplateMessages(messages, { objects });
  const addressed = abilities.system ? plain : systemToUser(plain);
  return abilities.partsOnly ? contentAsParts(addressed) : addressed;
}

/** The template will not have the conversation: a fault of the request. */
export class ConversationRejectedError extends Error {}

/** Throws what the template says against the conversation as it stands when it refuses every way to say it. */
function firstAccepted(
  messages: readonly TemplateMessage[],
  render: (messages: readonly TemplateMessage[]) => string,
): string {
  let refusal: { readonly reason: unknown } | undefined;
  let said = messages;
  for (const concede of FALLBACKS) {
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
  return said === undefined ? reason : new ConversationRejectedError(said, { cause: reason });
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

/**
 * Finds out what a template can do by having it render small conversations: what comes out shows what it read.
 * Pure, but for the template.
 */

interface TemplateAbilities {
  /** Content must be a list of parts. */
  readonly partsOnly: boolean;
  readonly system: boolean;
  /** A system message in the middle comes out too. */
  readonly laterSystem: boolean;
  /** Tools come out, and what they answered. */
  readonly tools: boolean;
  /** Calls in earlier answers come out. */
  readonly calls: boolean;
  /** The arguments of calls may be values rather than JSON text. */
  readonly objectArguments: boolean;
}

interface TemplateVariables {
  readonly messages: readonly TemplateMessage[];
  /** Absent where there are none: templates ask whether they are defined. */
  readonly tools?: readonly unknown[];
}

const SYSTEM: TemplateMessage = { role: 'system', content: 'mark-system' };
const USER: TemplateMessage = { role: 'user', content: 'mark-user' };
const ANSWER: TemplateMessage = { role: 'assistant', content: 'Answer.' };
const TOOL = {
  type: 'function',
  function: {
    name: 'mark-tool',
    description: 'mark-description',
    parameters: { type: 'object', properties: { key: { type: 'string', description: 'mark-key' } } },
  },
};

function abilitiesOf(render: (variables: TemplateVariables) => string): TemplateAbilities {
  const comesOut = (
    mark: string,
    messages: readonly TemplateMessage[],
    tools?: readonly unknown[],
  ): boolean => {
    try {
      return render({ messages, ...(tools && { tools }) }).includes(mark);
    } catch {
      return false;
    }
  };
  const partsOnly = !comesOut('mark-user', [USER]) && comesOut('mark-user', contentAsParts([USER]));
  const shaped = partsOnly ? contentAsParts : (messages: readonly TemplateMessage[]) => messages;
  const called = (mark: string, value: unknown): boolean =>
    comesOut(mark, shaped(conversation(value)), [TOOL]);
  const asObject = { key: 'mark-value' };
  // Printed as it stands, an object comes out with single quotes, which is no JSON.
  const objectArguments = called('mark-value', asObject) && !called("'mark-value'", asObject);
  const value = objectArguments ? asObject : JSON.stringify(asObject);
  return {
    partsOnly,
    system: comesOut('mark-system', shaped([SYSTEM, USER])),
    laterSystem: comesOut(
      'mark-later',
      shaped([SYSTEM, USER, ANSWER, { ...SYSTEM, content: 'mark-later' }, USER]),
    ),
    tools: comesOut('mark-tool', shaped([USER]), [TOOL]) && called('mark-result', value),
    calls: called('mark-value', value),
    objectArguments,
  };
}

function conversation(value: unknown): readonly TemplateMessage[] {
  const id = 'call00001';
  const call = { id, type: 'function', function: { name: 'mark-tool', arguments: value } } as const;
  return [
    USER,
    { role: 'assistant', content: '', tool_calls: [call] },
    { role: 'tool', content: 'mark-result', tool_call_id: id, name: 'mark-tool' },
    ANSWER,
    USER,
  ];
}
