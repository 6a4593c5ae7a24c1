/**
 * A conversation as a tree of messages: editing a message or asking again begins a branch beside the old one, which stays. Values are
 * never changed, only replaced. Pure.
 */
import type { Receipt } from './receipt.ts';
import { EMPTY_SETTINGS, type Settings } from './settings.ts';

export type Role = 'user' | 'assistant' | 'tool';

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it. */
  readonly arguments: string;
}

export interface MessageFailure {
  readonly code: string;
  readonly message: string;
  readonly advice: string;
}

export interface Message {
  readonly id: string;
  /** Undefined: the first one. */
  readonly parent: string | undefined;
  readonly role: Role;
  readonly text: string;
  /** data: URLs, of a user's message. */
  readonly images?: readonly string[];
  readonly reasoning?: string;
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool's message: the call that it answers. */
  readonly toolCallId?: string;
  readonly model?: string;
  readonly finishReason?: string;
  /** The person stopped it. */
  readonly stopped?: boolean;
  /** It is arriving; where no answer is, the page was left before it was complete. */
  readonly unfinished?: boolean;
  readonly failure?: MessageFailure;
  readonly receipt?: Receipt;
}

export interface Conversation {
  readonly id: string;
  /** Empty: its first message names it. */
  readonly title: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly model: string;
  readonly settings: Settings;
  readonly messages: Readonly<Record<string, Message>>;
  /** Parent (`''`: none) → its messages, oldest first. */
  readonly branches: Readonly<Record<string, readonly string[]>>;
  /** Parent → the one that is shown. */
  readonly shown: Readonly<Record<string, string>>;
}

const TITLE_LENGTH = 60;
const ROOT = '';

export function newConversation(
  id: string,
  now: number,
  model: string,
  settings: Settings = EMPTY_SETTINGS,
): Conversation {
  return {
    id,
    title: '',
    createdAt: now,
    updatedAt: now,
    model,
    settings,
    messages: {},
    branches: {},
    shown: {},
  };
}

/** The messages that are shown, from the first. */
export function pathOf({ messages, shown }: Conversation): readonly Message[] {
  const path: Message[] = [];
  let parent = ROOT;
  for (;;) {
    const id = shown[parent];
    const message = id === undefined ? undefined : messages[id];
    if (message === undefined) return path;
    path.push(message);
    parent = message.id;
  }
}

/** Those before a message, from the first. */
export function pathBefore({ messages }: Conversation, message: Message): readonly Message[] {
  const path: Message[] = [];
  let { parent } = message;
  while (parent !== undefined) {
    const before: Message | undefined = messages[parent];
    if (before === undefined) break;
    path.unshift(before);
    parent = before.parent;
  }
  return path;
}

/** Adds a message and shows it. */
export function withMessage(conversation: Conversation, message: Message, now: number): Conversation {
  const parent = message.parent ?? ROOT;
  return {
    ...conversation,
    updatedAt: now,
    messages: { ...conversation.messages, [message.id]: message },
    branches: {
      ...conversation.branches,
      [parent]: [...(conversation.branches[parent] ?? []), message.id],
    },
    shown: { ...conversation.shown, [parent]: message.id },
  };
}

/** Unchanged where there is no such message. */
export function withChange(conversation: Conversation, id: string, change: Partial<Message>): Conversation {
  const message = conversation.messages[id];
  if (message === undefined) return conversation;
  return { ...conversation, messages: { ...conversation.messages, [id]: { ...message, ...change } } };
}

export interface Branches {
  /** From 1. */
  readonly position: number;
  readonly count: number;
  readonly previous: string | undefined;
  readonly next: string | undefined;
}

/** The branches that a message is one of. */
export function branchesOf({ branches }: Conversation, message: Message): Branches {
  const all = branches[message.parent ?? ROOT] ?? [];
  const at = all.indexOf(message.id);
  return { position: at + 1, count: all.length, previous: all[at - 1], next: all[at + 1] };
}

export function showing(conversation: Conversation, id: string): Conversation {
  const message = conversation.messages[id];
  if (message === undefined) return conversation;
  return { ...conversation, shown: { ...conversation.shown, [message.parent ?? ROOT]: id } };
}

export function titleOf({ title, branches, messages }: Conversation): string {
  if (title !== '') return title;
  const first = messages[branches[ROOT]?.[0] ?? ''];
  const words = first?.text.replace(/\s+/g, ' ').trim() ?? '';
  if (words === '') return first === undefined ? 'New conversation' : 'Image';
  return words.length > TITLE_LENGTH ? `${words.slice(0, TITLE_LENGTH - 1)}…` : words;
}

/** The calls of an answer that have no result yet, where it is the last message shown. */
export function openCalls(path: readonly Message[]): readonly ToolCall[] {
  const last = path.at(-1);
  return last?.role === 'assistant' && last.failure === undefined && last.unfinished !== true
    ? (last.toolCalls ?? [])
    : [];
}

/** For the search among conversations. */
export function textOf({ messages }: Conversation, atMost: number): string {
  let text = '';
  for (const message of Object.values(messages)) {
    if (text.length >= atMost) break;
    text += `${message.text}\n`;
  }
  return text.slice(0, atMost);
}
