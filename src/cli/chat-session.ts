/**
 * A conversation at the command line: what a line that was entered means, and what becomes of the conversation when its answer came,
 * was stopped or failed. Pure: asking, files and the terminal are chat.ts's.
 */
import type { ChatMessage, ChatRequest, Parameters } from './chat-request.ts';
import { nearest } from './nearest-name.ts';

export type ChatAction =
  | { readonly kind: 'ask' }
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'complain'; readonly text: string }
  | { readonly kind: 'models' }
  | { readonly kind: 'model'; readonly name: string }
  | { readonly kind: 'stats' }
  | { readonly kind: 'save' | 'load'; readonly file: string }
  | { readonly kind: 'leave' }
  | { readonly kind: 'nothing' };

interface TurnMessage {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

interface ParameterRule {
  readonly read: (text: string) => unknown;
  readonly rule: string;
}

const number = (minimum: number, maximum: number, isWhole = false): ParameterRule => ({
  read: (text) => {
    const value = Number(text);
    const fits = text !== '' && value >= minimum && value <= maximum && (!isWhole || Number.isInteger(value));
    return fits ? value : undefined;
  },
  rule: `a ${isWhole ? 'whole ' : ''}number from ${minimum} to ${maximum}`,
});

const EFFORTS = ['none', 'low', 'medium', 'high'];
const MAX_TOKENS = 1_000_000;

/** What /set takes: the names of the route's fields. */
export const CHAT_PARAMETERS: Readonly<Record<string, ParameterRule>> = {
  temperature: number(0, 2),
  top_p: number(0, 1),
  top_k: number(0, 1_000_000, true),
  min_p: number(0, 1),
  max_tokens: number(1, MAX_TOKENS, true),
  seed: number(0, 2_147_483_647, true),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  repetition_penalty: number(0.01, 2),
  stop: { read: (text) => (text === '' ? undefined : [text]), rule: 'a text' },
  reasoning_effort: {
    read: (text) => (EFFORTS.includes(text) ? text : undefined),
    rule: `one of ${EFFORTS.join(', ')}`,
  },
};

export const CHAT_HELP = `/model [NAME]       list the models, or change to another
/system [TEXT|off]  show, set or remove the system prompt
/set [NAME VALUE]   show or set a parameter; "/set temperature" alone resets it
                    ${Object.keys(CHAT_PARAMETERS).slice(0, 5).join(', ')},
                    ${Object.keys(CHAT_PARAMETERS).slice(5, 8).join(', ')},
                    ${Object.keys(CHAT_PARAMETERS).slice(8).join(', ')}
/stats              the receipt of the last answer
/retry              ask the last question again
/clear              forget the conversation; model and settings stay
/save FILE          write the conversation to a file
/load FILE          go on with one that was saved
/quit               leave, as Ctrl-D does

A \\ at the end of a line goes on in the next one; """ begins and ends several.
Ctrl-C stops the answer; pressed twice it leaves.`;

/** Those that are completed. */
export const CHAT_COMMANDS = 'help model system set stats retry clear save load quit'.split(' ');

type Command = (argument: string) => ChatAction;

/** As it is saved: `model` and `system` may be absent. */
export interface SavedChat {
  readonly model?: string;
  readonly system?: string;
  readonly parameters: Parameters;
  readonly messages: readonly TurnMessage[];
}

export class ChatSession {
  #model: string | undefined;
  #system: string | undefined;
  #parameters: Parameters;
  #messages: readonly TurnMessage[] = [];
  /** Asked, and not answered. */
  #question: string | undefined;

  constructor({
    model,
    system,
    parameters,
  }: Omit<ChatRequest, 'messages'> & { readonly system: string | undefined }) {
    this.#model = model;
    this.#system = system;
    this.#parameters = parameters;
  }

  get model(): string | undefined {
    return this.#model;
  }

  get system(): string | undefined {
    return this.#system;
  }

  get parameters(): Parameters {
    return this.#parameters;
  }

  get messages(): readonly TurnMessage[] {
    return this.#messages;
  }

  /** What was entered, whole. A text that begins with a slash and a word is a command. */
  enter(text: string): ChatAction {
    const [, name, argument = ''] = /^\/([a-z?]+)(?:\s+([\s\S]*))?$/i.exec(text.trim()) ?? [];
    if (name !== undefined) return this.#command(name.toLowerCase(), argument.trim());
    if (text.trim() === '') return { kind: 'nothing' };
    this.#question = text;
    return { kind: 'ask' };
  }

  /** The request of the question that was entered last. */
  request(): ChatRequest {
    const messages: ChatMessage[] = [...this.#messages];
    if (this.#system !== undefined) messages.unshift({ role: 'system', content: this.#system });
    if (this.#question !== undefined) messages.push({ role: 'user', content: this.#question });
    return { model: this.#model, messages, parameters: this.#parameters };
  }

  /** The answer came, or as much of it as was wanted. Without a word the question counts as not asked, and /retry asks it. */
  answered(text: string): void {
    if (this.#question === undefined || text === '') return;
    this.#messages = [
      ...this.#messages,
      { role: 'user', content: this.#question },
      { role: 'assistant', content: text },
    ];
    this.#question = undefined;
  }

  chooseModel(name: string): void {
    this.#model = name;
  }

  saved(): SavedChat {
    return {
      ...(this.#model !== undefined && { model: this.#model }),
      ...(this.#system !== undefined && { system: this.#system }),
      parameters: this.#parameters,
      messages: this.#messages,
    };
  }

  /** Goes on with what was saved, and keeps the model if that names none. */
  load({ model, system, parameters, messages }: SavedChat): void {
    this.#model = model ?? this.#model;
    this.#system = system;
    this.#parameters = parameters;
    this.#messages = messages;
    this.#question = undefined;
  }

  #command(name: string, argument: string): ChatAction {
    const command = Object.hasOwn(this.#commands, name) ? this.#commands[name] : undefined;
    if (command !== undefined) return command(argument);
    const meant = nearest(name, Object.keys(this.#commands));
    const hint = meant === undefined ? '' : ` Did you mean /${meant}?`;
    return complain(`There is no /${name}.${hint} /help lists the commands.`);
  }

  readonly #commands: Readonly<Record<string, Command>> = {
    help: () => say(CHAT_HELP),
    '?': () => say(CHAT_HELP),
    model: (name) => (name === '' ? { kind: 'models' } : { kind: 'model', name }),
    models: () => ({ kind: 'models' }),
    system: (text) => this.#setSystem(text),
    set: (text) => this.#set(text),
    stats: () => ({ kind: 'stats' }),
    retry: () => this.#retry(),
    clear: () => {
      this.#messages = [];
      this.#question = undefined;
      return say('The conversation is forgotten.');
    },
    save: (file) => (file === '' ? complain('Name the file: /save FILE') : { kind: 'save', file }),
    load: (file) => (file === '' ? complain('Name the file: /load FILE') : { kind: 'load', file }),
    quit: () => ({ kind: 'leave' }),
    exit: () => ({ kind: 'leave' }),
    bye: () => ({ kind: 'leave' }),
  };

  #setSystem(text: string): ChatAction {
    if (text === '') return say(this.#system ?? 'There is no system prompt.');
    this.#system = text === 'off' ? undefined : text;
    return say(text === 'off' ? 'The system prompt is removed.' : 'The system prompt is set.');
  }

  #set(text: string): ChatAction {
    if (text === '') return say(parametersText(this.#parameters));
    // Ollama's way to write it.
    const [, name = '', value = ''] =
      /^(?:parameter\s+)?([\w-]+)(?:\s*=\s*|\s+|$)([\s\S]*)$/.exec(text) ?? [];
    const set = withParameter(this.#parameters, name.replaceAll('-', '_'), value.trim());
    if (typeof set === 'string') return complain(set);
    this.#parameters = set;
    return say(parametersText(set));
  }

  #retry(): ChatAction {
    if (this.#question !== undefined) return { kind: 'ask' };
    const question = this.#messages.at(-2);
    if (question?.role !== 'user') return complain('There is no question to ask again.');
    this.#messages = this.#messages.slice(0, -2);
    this.#question = question.content;
    return { kind: 'ask' };
  }
}

/** An empty value resets the parameter. A string is the complaint. */
export function withParameter(parameters: Parameters, name: string, value: string): Parameters | string {
  const rule = Object.hasOwn(CHAT_PARAMETERS, name) ? CHAT_PARAMETERS[name] : undefined;
  const names = Object.keys(CHAT_PARAMETERS);
  if (rule === undefined) {
    const meant = nearest(name, names);
    return `There is no parameter ${JSON.stringify(name)}.${meant === undefined ? '' : ` Did you mean ${meant}?`} There are ${names.join(', ')}.`;
  }
  const { [name]: _before, ...others } = parameters;
  if (value === '') return others;
  const read = rule.read(value);
  if (read === undefined) return `${name} is ${JSON.stringify(value)}, but must be ${rule.rule}.`;
  return { ...others, [name]: read };
}

function parametersText(parameters: Parameters): string {
  const lines = Object.entries(parameters).map(([name, value]) => `${name} ${String(value)}`);
  return lines.length === 0 ? 'All parameters are the model’s own.' : lines.join('\n');
}

/** Reads what /save wrote, or the body of a chat request. A string is the complaint. */
export function readSavedChat(text: string): SavedChat | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'the file is no JSON';
  }
  const { model, system, parameters, messages } = Object(value) as Record<string, unknown>;
  if (!Array.isArray(messages)) return 'the file has no list "messages"';
  const turns = messages.map((message) => Object(message) as Partial<ChatMessage>);
  const isText = ({ role, content }: Partial<ChatMessage>) =>
    (role === 'system' || role === 'user' || role === 'assistant') && typeof content === 'string';
  if (!turns.every(isText)) return 'not every message is a text of the system, the user or the assistant';
  const known = readParameters(parameters);
  if (typeof known === 'string') return known;
  const first = turns.find(({ role }) => role === 'system')?.content;
  const systemText = typeof system === 'string' ? system : first;
  return {
    ...(typeof model === 'string' && { model }),
    ...(typeof systemText === 'string' && { system: systemText }),
    parameters: known,
    messages: turns.filter(({ role }) => role !== 'system') as readonly TurnMessage[],
  };
}

function readParameters(values: unknown): Parameters | string {
  let parameters: Parameters = {};
  for (const [name, value] of Object.entries(Object(values) as Record<string, unknown>)) {
    const next = withParameter(parameters, name, Array.isArray(value) ? String(value[0]) : String(value));
    if (typeof next === 'string') return next;
    parameters = next;
  }
  return parameters;
}

function say(text: string): ChatAction {
  return { kind: 'say', text };
}

function complain(text: string): ChatAction {
  return { kind: 'complain', text };
}

/** What Ctrl-C does. Twice in a row, without a key in between, it leaves. */
export class Interrupts {
  #armed = false;

  press(at: { readonly answering: boolean; readonly typed: boolean }): 'stop' | 'clear' | 'warn' | 'leave' {
    if (this.#armed) return 'leave';
    if (at.answering) {
      this.#armed = true;
      return 'stop';
    }
    if (at.typed) return 'clear';
    this.#armed = true;
    return 'warn';
  }

  /** Another key was pressed. */
  reset(): void {
    this.#armed = false;
  }
}
