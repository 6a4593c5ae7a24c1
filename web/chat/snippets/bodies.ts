/** The body of a chat completion as the other protocols write it, and what of it they have no place for. Pure. */
import type { ChatBody, ChatMessage } from '../chat-body.ts';

export interface ProtocolBody {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** What this protocol cannot say, in words. */
  readonly omitted: readonly string[];
}

export const PROTOCOLS = ['OpenAI', 'Anthropic', 'Ollama', 'Native'] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

/** Anthropic's API requires a number. */
const DEFAULT_MAX_TOKENS = 1024;

const MAKERS: Readonly<Record<ProtocolName, (body: ChatBody) => ProtocolBody>> = {
  OpenAI: (body) => ({ path: 'v1/chat/completions', body, omitted: [] }),
  Anthropic: anthropicBody,
  Ollama: ollamaBody,
  Native: nativeBody,
};

export function bodyFor(protocol: ProtocolName, body: ChatBody): ProtocolBody {
  return MAKERS[protocol](body);
}

function nativeBody(chat: ChatBody): ProtocolBody {
  const { model, messages, tools, response_format, reasoning_effort, repetition_penalty, top_p, ...rest } =
    chat;
  const hasImages = messages.some((message) => imagesOf(message).length > 0);
  const body = {
    model,
    messages: messages.map((message) => ({
      role: message.role,
      content: textOf(message),
      ...(message.role === 'assistant' &&
        message.tool_calls && { tool_calls: message.tool_calls.map(nativeCall) }),
      ...(message.role === 'tool' && { tool_call_id: message.tool_call_id }),
    })),
    ...rest,
    // It takes none below: 0 leaves the likeliest token alone, and so does this.
    ...(top_p !== undefined && { top_p: Number(top_p) || 1e-6 }),
    ...(repetition_penalty !== undefined && { repeat_penalty: repetition_penalty }),
    ...(reasoning_effort !== undefined && { think: thinkOf(reasoning_effort) }),
    ...(tools && { tools: tools.map((tool) => tool.function) }),
    ...(response_format && { format: response_format.json_schema.schema }),
  };
  return { path: 'generate', body, omitted: hasImages ? ['images: the native API takes text alone'] : [] };
}

function nativeCall({ id, function: { name, arguments: given } }: Call) {
  return { id, name, arguments: argumentsOf(given) };
}

function ollamaBody(chat: ChatBody): ProtocolBody {
  const {
    model,
    messages,
    tools,
    response_format,
    reasoning_effort,
    max_tokens,
    repetition_penalty,
    top_p,
    ...options
  } = chat;
  const given = {
    ...options,
    ...(top_p !== undefined && { top_p: Number(top_p) || 1e-6 }),
    ...(max_tokens !== undefined && { num_predict: max_tokens }),
    ...(repetition_penalty !== undefined && { repeat_penalty: repetition_penalty }),
  };
  const names = callNames(messages);
  const body = {
    model,
    messages: messages.map((message) => {
      const images = imagesOf(message).map(base64Of);
      return {
        role: message.role,
        content: textOf(message),
        ...(images.length > 0 && { images }),
        ...(message.role === 'assistant' &&
          message.tool_calls && {
            tool_calls: message.tool_calls.map((call) => ({
              function: { name: call.function.name, arguments: argumentsOf(call.function.arguments) },
            })),
          }),
        ...(message.role === 'tool' && { tool_name: names.get(message.tool_call_id) ?? '' }),
      };
    }),
    stream: false,
    ...(tools && { tools }),
    ...(response_format && { format: response_format.json_schema.schema }),
    ...(reasoning_effort !== undefined && { think: thinkOf(reasoning_effort) }),
    ...(Object.keys(given).length > 0 && { options: given }),
  };
  return { path: 'api/chat', body, omitted: [] };
}

function anthropicBody(chat: ChatBody): ProtocolBody {
  const { model, messages, tools, response_format, max_tokens, temperature, top_p, top_k, stop } = chat;
  const system = messages.find(({ role }) => role === 'system');
  const hot = temperature !== undefined && Number(temperature) > 1;
  const body = {
    model,
    max_tokens: max_tokens ?? DEFAULT_MAX_TOKENS,
    ...(system && { system: textOf(system) }),
    messages: anthropicMessages(messages.filter(({ role }) => role !== 'system')),
    ...(temperature !== undefined && { temperature: hot ? 1 : temperature }),
    ...(top_p !== undefined && { top_p: Number(top_p) || 1e-6 }),
    ...(top_k !== undefined && { top_k }),
    ...(stop !== undefined && { stop_sequences: stop }),
    ...(tools && {
      tools: tools.map(({ function: { name, description, parameters } }) => ({
        name,
        ...(description !== undefined && { description }),
        input_schema: parameters ?? { type: 'object', properties: {} },
      })),
    }),
    ...(response_format && {
      output_config: { format: { type: 'json_schema', schema: response_format.json_schema.schema } },
    }),
  };
  const without = [
    'seed',
    'min_p',
    'presence_penalty',
    'frequency_penalty',
    'repetition_penalty',
    'reasoning_effort',
  ] as const;
  const omitted = without
    .filter((name) => chat[name] !== undefined)
    .map((name) => `${name}: this API has no such field`);
  return {
    path: 'v1/messages',
    body,
    omitted: [...(hot ? ['temperature: at most 1 here'] : []), ...omitted],
  };
}

/** The results of one answer's calls are one turn. */
function anthropicMessages(messages: readonly ChatMessage[]): unknown[] {
  const turns: { role: string; content: unknown }[] = [];
  for (const message of messages) {
    const content = anthropicContent(message);
    const last = turns.at(-1);
    if (message.role === 'tool' && last?.role === 'user' && Array.isArray(last.content))
      last.content.push(content);
    else if (message.role === 'tool') turns.push({ role: 'user', content: [content] });
    else turns.push({ role: message.role, content });
  }
  return turns;
}

function anthropicContent(message: ChatMessage): unknown {
  const text = textOf(message);
  if (message.role === 'tool')
    return { type: 'tool_result', tool_use_id: message.tool_call_id, content: text };
  const textBlocks = text === '' ? [] : [{ type: 'text', text }];
  if (message.role === 'assistant' && message.tool_calls)
    return [
      ...textBlocks,
      ...message.tool_calls.map(({ id, function: { name, arguments: given } }) => ({
        type: 'tool_use',
        id,
        name,
        input: argumentsOf(given),
      })),
    ];
  const images = imagesOf(message).map((url) => ({
    type: 'image',
    source: {
      type: 'base64',
      media_type: /^data:([^;]+)/.exec(url)?.[1] ?? 'image/png',
      data: base64Of(url),
    },
  }));
  return images.length === 0 ? text : [...textBlocks, ...images];
}

type Call = NonNullable<Extract<ChatMessage, { role: 'assistant' }>['tool_calls']>[number];

function callNames(messages: readonly ChatMessage[]): ReadonlyMap<string, string> {
  const calls = messages.flatMap((message) =>
    message.role === 'assistant' ? (message.tool_calls ?? []) : [],
  );
  return new Map(calls.map(({ id, function: { name } }) => [id, name]));
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

function imagesOf({ content }: ChatMessage): string[] {
  if (typeof content === 'string') return [];
  return content.flatMap((part) => (part.type === 'image_url' ? [part.image_url.url] : []));
}

function base64Of(url: string): string {
  return url.slice(url.indexOf(',') + 1);
}

function thinkOf(effort: unknown): unknown {
  return effort === 'none' ? false : effort;
}

/** What a model has written as arguments need not be JSON. */
function argumentsOf(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}
