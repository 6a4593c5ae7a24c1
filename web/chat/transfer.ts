/** Conversations as a file, and back. A file may come from anybody: all of it is checked, and nothing unknown is taken. Pure. */
import type { Conversation, Message, Role, ToolCall } from './conversation.ts';
import type { Receipt } from './receipt.ts';
import { isObject, PARAMETERS, type Settings } from './settings.ts';

const FORMAT = 'llm-serve-conversations';
const VERSION = 1;
/** Longest paths and largest files that are taken. */
const LIMITS = { conversations: 1000, messages: 20_000, text: 20_000_000, images: 16 } as const;
const IMAGE = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z\d+/=]+$/;
const ID = /^[\w-]{1,64}$/;
const ROLES: readonly Role[] = ['user', 'assistant', 'tool'];

export function exported(conversations: readonly Conversation[]): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, conversations }, null, 1)}\n`;
}

/** Throws an Error that says what is wrong with the file. */
export function imported(text: string): readonly Conversation[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error('The file is not JSON.');
  }
  if (!isObject(file) || file.format !== FORMAT)
    throw new Error('The file has no conversations of this page.');
  if (file.version !== VERSION)
    throw new Error(`The file has version ${String(file.version)}, this page reads ${VERSION}.`);
  const { conversations } = file;
  if (!Array.isArray(conversations)) throw new Error('conversations must be a list.');
  if (conversations.length > LIMITS.conversations)
    throw new Error(`The file has more than ${LIMITS.conversations} conversations.`);
  return conversations.map((each, at) => readConversation(each, `conversations[${at}]`));
}

function readConversation(value: unknown, where: string): Conversation {
  const given = object(value, where);
  const messages: Record<string, Message> = {};
  const branches: Record<string, string[]> = {};
  const all = Object.values(object(given.messages, `${where}.messages`));
  if (all.length > LIMITS.messages) throw new Error(`${where} has more than ${LIMITS.messages} messages.`);
  for (const [at, each] of all.entries()) {
    const message = readMessage(each, `${where}.messages[${at}]`);
    if (messages[message.id] !== undefined) throw new Error(`${where} has two messages ${message.id}.`);
    messages[message.id] = message;
  }
  // In the order of the file's branches where it has them: that of the messages is the order in which they were made.
  for (const message of Object.values(messages)) {
    const parent = message.parent ?? '';
    if (parent !== '' && messages[parent] === undefined)
      throw new Error(`${where}: the message ${message.id} follows one that is not there.`);
    branches[parent] = [...(branches[parent] ?? []), message.id];
  }
  refuseCircles(messages, where);
  const chosen = isObject(given.shown) ? given.shown : {};
  const shown = Object.fromEntries(
    Object.entries(branches).map(([parent, ids]) => {
      const id = chosen[parent];
      return [parent, ids.find((each) => each === id) ?? ids.at(-1) ?? ''];
    }),
  );
  return {
    id: id(given.id, `${where}.id`),
    title: text(given.title, `${where}.title`).slice(0, 200),
    createdAt: time(given.createdAt),
    updatedAt: time(given.updatedAt),
    model: text(given.model, `${where}.model`).slice(0, 300),
    settings: readSettings(given.settings, `${where}.settings`),
    messages,
    branches,
    shown,
  };
}

function readMessage(value: unknown, where: string): Message {
  const given = object(value, where);
  const role = ROLES.find((each) => each === given.role);
  if (role === undefined) throw new Error(`${where}.role is none of ${ROLES.join(', ')}.`);
  const images =
    given.images === undefined ? undefined : list(given.images, `${where}.images`).slice(0, LIMITS.images);
  if (images?.some((each) => typeof each !== 'string' || !IMAGE.test(each)))
    throw new Error(`${where}.images must be data: URLs of images.`);
  return {
    id: id(given.id, `${where}.id`),
    parent:
      given.parent === undefined || given.parent === null ? undefined : id(given.parent, `${where}.parent`),
    role,
    text: text(given.text, `${where}.text`),
    ...(images && { images: images as string[] }),
    ...(given.reasoning !== undefined && { reasoning: text(given.reasoning, `${where}.reasoning`) }),
    ...(given.toolCalls !== undefined && {
      toolCalls: list(given.toolCalls, `${where}.toolCalls`).map((each) => readCall(each, where)),
    }),
    ...(given.toolCallId !== undefined && { toolCallId: text(given.toolCallId, `${where}.toolCallId`) }),
    ...(given.model !== undefined && { model: text(given.model, `${where}.model`) }),
    ...(given.finishReason !== undefined && {
      finishReason: text(given.finishReason, `${where}.finishReason`),
    }),
    ...(given.stopped === true && { stopped: true }),
    ...(given.unfinished === true && { unfinished: true }),
    ...readFailure(given.failure, where),
    ...(isObject(given.receipt) && { receipt: readReceipt(given.receipt) }),
  };
}

function readFailure(value: unknown, where: string): Pick<Message, 'failure'> {
  if (value === undefined) return {};
  const given = object(value, `${where}.failure`);
  return {
    failure: {
      code: text(given.code, where),
      message: text(given.message, where),
      advice: text(given.advice ?? '', where),
    },
  };
}

function readCall(value: unknown, where: string): ToolCall {
  const given = object(value, `${where}.toolCalls`);
  return {
    id: text(given.id, `${where}.toolCalls.id`),
    name: text(given.name, `${where}.toolCalls.name`),
    arguments: text(given.arguments, `${where}.toolCalls.arguments`),
  };
}

export function readSettings(value: unknown, where: string): Settings {
  const given = isObject(value) ? value : {};
  const parameters = isObject(given.parameters) ? given.parameters : {};
  const known = PARAMETERS.flatMap(({ name }) => {
    const set = parameters[name];
    return typeof set === 'string' ? [[name, set]] : [];
  });
  return {
    system: text(given.system ?? '', `${where}.system`),
    parameters: Object.fromEntries(known) as Settings['parameters'],
    tools: text(given.tools ?? '', `${where}.tools`),
    schema: text(given.schema ?? '', `${where}.schema`),
  };
}

const RECEIPT_TEXTS = ['servedModel', 'servedTarget', 'requestId'];
const RECEIPT_NUMBERS = [
  ...['promptTokens', 'cachedTokens', 'completionTokens', 'queueMs', 'firstTokenMs'],
  ...['generateMs', 'gatewayMs', 'totalMs', 'attempts'],
];

/** What a receipt shows, and nothing else. */
function readReceipt(given: Readonly<Record<string, unknown>>): Receipt {
  const isKnown = ([name, value]: [string, unknown]) =>
    (RECEIPT_NUMBERS.includes(name) && typeof value === 'number' && Number.isFinite(value)) ||
    (RECEIPT_TEXTS.includes(name) && typeof value === 'string' && value.length < 300);
  return Object.fromEntries(Object.entries(given).filter(isKnown));
}

function refuseCircles(messages: Readonly<Record<string, Message>>, where: string): void {
  const reachesRoot = new Set<string>();
  for (const message of Object.values(messages)) {
    const seen = new Set<string>();
    let current: Message | undefined = message;
    while (current !== undefined && !reachesRoot.has(current.id)) {
      if (seen.has(current.id)) throw new Error(`${where}: messages follow each other in a circle.`);
      seen.add(current.id);
      current = current.parent === undefined ? undefined : messages[current.parent];
    }
    for (const each of seen) reachesRoot.add(each);
  }
}

function object(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new Error(`${where} must be an object.`);
  return value;
}

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${where} must be a list.`);
  return value;
}

function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new Error(`${where} must be a text.`);
  if (value.length > LIMITS.text) throw new Error(`${where} is too long.`);
  return value;
}

/** `__proto__` and the like are no names of messages. */
function id(value: unknown, where: string): string {
  if (typeof value !== 'string' || !ID.test(value) || value in {}) throw new Error(`${where} is no id.`);
  return value;
}

function time(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
