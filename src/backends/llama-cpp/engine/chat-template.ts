/**
 * Renders a conversation as the text that the model was trained to read, ready to be tokenized: by ChatML, or by the
 * Jinja template of a GGUF file. The latter is rendered by llama.cpp's own engine, so that the text is the same as from
 * llama.cpp's server; what a template can express is found out by rendering small conversations. Pure, but for it.
 */
import type { Message, ReasoningEffort, Tool } from '../../../core/generation.ts';
import { normalizeTurns } from '../../../core/normalize-turns.ts';
import type { JinjaRenderer } from './library.ts';
import {
  contentAsParts,
  FALLBACKS,
  systemToUser,
  type TemplateMessage,
  toTemplateMessages,
  toTemplateTools,
} from './template-messages.ts';
import {
  hermes,
  spellOutCalls,
  spellOutTools,
  syntaxOfTemplate,
  type ToolSyntax,
} from './tools/tool-syntax.ts';

export interface Conversation {
  readonly messages: readonly Message[];
  /** Empty: the model sees none. */
  readonly tools: readonly Tool[];
  /** Absent: the template's own default. */
  readonly thinking?: ReasoningEffort;
  /** The text ends with the last message: no turn of the assistant begins after it. */
  readonly continuesLast?: true | undefined;
}

export interface ChatTemplate {
  readonly supportsReasoning: boolean;
  /** What it writes depends on whether the model is to think. Where not, a model that thinks always does. */
  readonly switchesReasoning: boolean;
  /** How the model is asked to call tools. */
  readonly toolSyntax: ToolSyntax;
  /** Throws if the template rejects the conversation. */
  render(conversation: Conversation): string;
}

/** Plain ChatML, without a default system message. */
export const chatml: ChatTemplate = {
  supportsReasoning: false,
  switchesReasoning: false,
  toolSyntax: hermes,
  render({ messages, tools, continuesLast }) {
    const turns = spellOutTools(messages, tools).map(
      ({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`,
    );
    return continuesLast ? turns.join('') : `${turns.join('')}<|im_start|>assistant\n`;
  },
};

interface JinjaTemplateOptions {
  readonly source: string;
  readonly renderer: JinjaRenderer;
  /** The texts of these tokens; empty if the model has none. */
  readonly bosToken: string;
  readonly eosToken: string;
}

/** The switches of templates for reasoning, and the tags that they look for in earlier answers. */
const MENTIONS_REASONING = /thinking|<\/?think>/;

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
  /** Absent: tools are spelled out in the messages, in a syntax that is read here. */
  const ownSyntax = abilities.tools ? syntaxOfTemplate(source) : undefined;
  const withTools = (messages: readonly Message[], tools: readonly Tool[]): readonly Message[] => {
    if (ownSyntax === undefined) return spellOutTools(messages, tools);
    return abilities.calls ? messages : spellOutCalls(messages, ownSyntax.format);
  };
  return {
    supportsReasoning: MENTIONS_REASONING.test(source),
    switchesReasoning: differs((thinking) => {
      const [user] = shape([{ role: 'user', content: 'Hello.' }], abilities);
      return user === undefined ? '' : render({ thinking }, { messages: [user] });
    }),
    toolSyntax: ownSyntax ?? hermes,
    render({ messages: given, tools, ...settings }) {
      const messages = withTools(abilities.laterSystem ? given : withOneSystem(given), tools);
      const listed = ownSyntax !== undefined && tools.length > 0 && { tools: toTemplateTools(tools) };
      return renderAccepted(shape(messages, abilities), (accepted) =>
        render(settings, { messages: accepted, ...listed }),
      );
    },
  };
}

/** A template that rejects so small a conversation is taken to have a switch: nobody is told that theirs had no effect. */
function differs(render: (thinking: boolean) => string): boolean {
  try {
    return render(true) !== render(false);
  } catch {
    return true;
  }
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

/** The template rejects the conversation: the request is at fault. */
export class ConversationRejectedError extends Error {}

/** The first of the fallbacks that the template accepts. If it rejects all, throws its reason against the original. */
function renderAccepted(
  messages: readonly TemplateMessage[],
  render: (messages: readonly TemplateMessage[]) => string,
): string {
  let rejection: { readonly reason: unknown } | undefined;
  let rewritten = messages;
  for (const rewrite of FALLBACKS) {
    rewritten = rewrite(rewritten);
    try {
      return render(rewritten);
    } catch (reason) {
      rejection ??= { reason };
    }
  }
  throw toRejection(rejection?.reason);
}

/** Templates reject with `raise_exception()`; any other error is the renderer's own. */
function toRejection(reason: unknown): unknown {
  const message = reason instanceof Error ? /Jinja Exception: (.*)/.exec(reason.message)?.[1] : undefined;
  return message === undefined ? reason : new ConversationRejectedError(message, { cause: reason });
}

/** Templates use either of the first two names for the switch, and the third for the level. */
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

/** As llama.cpp passes them; without them some templates show a date of years ago. */
function dates(now = new Date()) {
  const day = String(now.getDate()).padStart(2, '0');
  const month = MONTHS[now.getMonth()];
  return {
    date_string: `${day} ${month} ${now.getFullYear()}`,
    datetime: `${month} ${day} ${now.getFullYear()}`,
  };
}

/** What a template renders, and in which shape. */
interface TemplateAbilities {
  /** Content must be a list of parts. */
  readonly partsOnly: boolean;
  readonly system: boolean;
  /** System messages after the first message. */
  readonly laterSystem: boolean;
  /** Definitions of tools, and their results. */
  readonly tools: boolean;
  /** Calls in earlier answers. */
  readonly calls: boolean;
  /** The arguments of calls may be values rather than JSON text. */
  readonly objectArguments: boolean;
}

interface TemplateVariables {
  readonly messages: readonly TemplateMessage[];
  /** Absent if there are none: templates test whether they are defined. */
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
  const renders = (
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
  const partsOnly = !renders('mark-user', [USER]) && renders('mark-user', contentAsParts([USER]));
  const shaped = partsOnly ? contentAsParts : (messages: readonly TemplateMessage[]) => messages;
  const rendersCall = (mark: string, value: unknown): boolean =>
    renders(mark, shaped(conversationWithCall(value)), [TOOL]);
  const asObject = { key: 'mark-value' };
  // A template that prints the object itself shows it with single quotes, which is no JSON.
  const objectArguments = rendersCall('mark-value', asObject) && !rendersCall("'mark-value'", asObject);
  const value = objectArguments ? asObject : JSON.stringify(asObject);
  return {
    partsOnly,
    system: renders('mark-system', shaped([SYSTEM, USER])),
    laterSystem: renders(
      'mark-later',
      shaped([SYSTEM, USER, ANSWER, { ...SYSTEM, content: 'mark-later' }, USER]),
    ),
    tools: renders('mark-tool', shaped([USER]), [TOOL]) && rendersCall('mark-result', value),
    calls: rendersCall('mark-value', value),
    objectArguments,
  };
}

function conversationWithCall(value: unknown): readonly TemplateMessage[] {
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
