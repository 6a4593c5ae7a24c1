/** The protocols that a server can be asked in, as data: where, with what body, and how one event of the answer is read. */
import type { Answer } from './answer.ts';
import type { ChatMessage } from './dataset.ts';
import { readTimings } from './server-timings.ts';

export const PROTOCOL_NAMES = ['openai-chat', 'openai-completions', 'anthropic', 'ollama', 'native'] as const;
export type ProtocolName = (typeof PROTOCOL_NAMES)[number];

export const THINK_LEVELS = ['true', 'false', 'low', 'medium', 'high'] as const;
export type ThinkLevel = (typeof THINK_LEVELS)[number];

/** What a server is, where that changes how it is asked. */
export type ServerKind = 'llm-serve' | 'vllm' | 'llama-server' | 'ollama' | 'other';

/** What one request asks for. */
export interface Ask {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  /** The answer goes on to `maxTokens`, whatever the model says. */
  readonly ignoreEos: boolean;
  /** The stream ends with the counts of tokens; where this has to be asked for. */
  readonly wantsUsage: boolean;
}

export interface Protocol {
  readonly path: string;
  /** sse: `data:` lines of server-sent events; lines: one JSON object a line. */
  readonly framing: 'sse' | 'lines';
  readonly canIgnoreEos: boolean;
  /** The counts of tokens come only if asked for. */
  readonly asksForUsage: boolean;
  /** The fields that make a model think, or not; undefined where the protocol has none for this. null removes a field. */
  think(level: ThinkLevel, server: ServerKind): Fields | undefined;
  keyHeaders(key: string): Readonly<Record<string, string>>;
  body(ask: Ask): Readonly<Record<string, unknown>>;
  /** `data`: what one event or line holds, parsed. `now`: when its bytes arrived. */
  read(data: Fields, answer: Answer, now: number): void;
}

/** Foreign JSON: each field is looked at before it is used. */
export type Fields = Readonly<Record<string, unknown>>;

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const noThinking = () => undefined;
const isSwitch = (level: ThinkLevel) => level === 'true' || level === 'false';
/** Ollama's field, which the native protocol has too. */
const thinkField = (level: ThinkLevel) => ({ think: isSwitch(level) ? level === 'true' : level });

/** OpenAI's field has levels and none. vLLM and llama-server switch thinking on and off in the chat template. */
function openAiThinking(level: ThinkLevel, server: ServerKind): Fields {
  if (server === 'vllm' || server === 'llama-server') {
    const effort = isSwitch(level) ? {} : { reasoning_effort: level };
    const template = { enable_thinking: level !== 'false', ...(server === 'llama-server' && effort) };
    return { chat_template_kwargs: template, ...(server === 'vllm' && effort) };
  }
  const effort = { true: 'medium', false: 'none', low: 'low', medium: 'medium', high: 'high' }[level];
  return { reasoning_effort: effort };
}

/** The least that Anthropic's own service takes; it wants answers longer than that, and no temperature. */
const ANTHROPIC_BUDGET = 1024;

function anthropicThinking(level: ThinkLevel): Fields {
  if (level === 'false') return { thinking: { type: 'disabled' } };
  return {
    thinking: { type: 'enabled', budget_tokens: ANTHROPIC_BUDGET },
    temperature: null,
    ...(level !== 'true' && { output_config: { effort: level } }),
  };
}

/** Greedy, so that two runs ask for the same work. */
const TEMPERATURE = 0;

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null ? (value as Fields) : undefined;
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

function readError(data: Fields, answer: Answer): boolean {
  const error = data.error;
  if (error === undefined || error === null) return false;
  const { code, type } = fieldsOf(error) ?? {};
  // vLLM's code is the status that the answer would have had.
  const status = typeof code === 'number' ? `http_${code}` : undefined;
  answer.error = [status, code, type].filter(isText).map(String)[0] ?? 'error in the stream';
  return true;
}

function readOpenAi(data: Fields, answer: Answer, readChoice: (choice: Fields) => void): void {
  if (readError(data, answer)) return;
  const [first] = Array.isArray(data.choices) ? data.choices : [];
  const choice = fieldsOf(first);
  if (choice !== undefined) {
    readChoice(choice);
    answer.finish(choice.finish_reason);
  }
  const usage = fieldsOf(data.usage);
  if (usage !== undefined) answer.usage(usage.prompt_tokens, usage.completion_tokens);
  const timings = readTimings(data.timings);
  if (timings !== undefined) answer.timings(timings);
}

const openAiLimits = ({ maxTokens, ignoreEos, wantsUsage }: Ask) => ({
  max_tokens: maxTokens,
  temperature: TEMPERATURE,
  stream: true,
  ...(wantsUsage && { stream_options: { include_usage: true } }),
  ...(ignoreEos && { ignore_eos: true }),
});

const textOf = (messages: readonly ChatMessage[]) => messages.map(({ content }) => content).join('\n\n');

export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = {
  'openai-chat': {
    path: '/v1/chat/completions',
    framing: 'sse',
    canIgnoreEos: true,
    asksForUsage: true,
    think: openAiThinking,
    keyHeaders: bearer,
    body: (ask) => ({ model: ask.model, messages: ask.messages, ...openAiLimits(ask) }),
    read: (data, answer, now) =>
      readOpenAi(data, answer, (choice) => {
        const delta = fieldsOf(choice.delta);
        if (delta === undefined) return;
        // vLLM names its thoughts reasoning, llama-server and others reasoning_content.
        const reasons = isText(delta.reasoning_content) || isText(delta.reasoning);
        const calls = Array.isArray(delta.tool_calls) && delta.tool_calls.length > 0;
        if (isText(delta.content) || calls) answer.token(now, false);
        else if (reasons) answer.token(now, true);
      }),
  },
  'openai-completions': {
    path: '/v1/completions',
    framing: 'sse',
    canIgnoreEos: true,
    asksForUsage: true,
    think: noThinking,
    keyHeaders: bearer,
    body: (ask) => ({ model: ask.model, prompt: textOf(ask.messages), ...openAiLimits(ask) }),
    read: (data, answer, now) =>
      readOpenAi(data, answer, (choice) => {
        if (isText(choice.text)) answer.token(now, false);
      }),
  },
  anthropic: {
    path: '/v1/messages',
    framing: 'sse',
    canIgnoreEos: false,
    asksForUsage: false,
    think: anthropicThinking,
    keyHeaders: (key) => ({ 'x-api-key': key }),
    body: ({ model, messages, maxTokens }) => ({
      model,
      max_tokens: maxTokens,
      temperature: TEMPERATURE,
      stream: true,
      ...systemOf(messages),
      messages: messages.filter(({ role }) => role !== 'system'),
    }),
    read: readAnthropic,
  },
  ollama: {
    path: '/api/chat',
    framing: 'lines',
    canIgnoreEos: false,
    asksForUsage: false,
    think: thinkField,
    keyHeaders: bearer,
    body: ({ model, messages, maxTokens }) => ({
      model,
      messages,
      stream: true,
      options: { num_predict: maxTokens, temperature: TEMPERATURE },
    }),
    read: readOllama,
  },
  native: {
    path: '/stream',
    framing: 'sse',
    canIgnoreEos: false,
    asksForUsage: false,
    think: thinkField,
    keyHeaders: bearer,
    body: ({ model, messages, maxTokens }) => ({
      model,
      messages,
      max_tokens: maxTokens,
      temperature: TEMPERATURE,
    }),
    read: readNative,
  },
};

function systemOf(messages: readonly ChatMessage[]): { readonly system?: string } {
  const system = messages.filter(({ role }) => role === 'system');
  return system.length === 0 ? {} : { system: textOf(system) };
}

function readAnthropic(data: Fields, answer: Answer, now: number): void {
  if (readError(data, answer)) return;
  switch (data.type) {
    case 'message_start': {
      const usage = fieldsOf(fieldsOf(data.message)?.usage);
      if (usage !== undefined) answer.usage(promptTokensOf(usage), undefined);
      break;
    }
    case 'content_block_delta': {
      const { text, thinking, partial_json: json } = fieldsOf(data.delta) ?? {};
      if (isText(text) || isText(json)) answer.token(now, false);
      else if (isText(thinking)) answer.token(now, true);
      break;
    }
    case 'message_delta': {
      answer.finish(fieldsOf(data.delta)?.stop_reason);
      const usage = fieldsOf(data.usage);
      if (usage !== undefined) answer.usage(promptTokensOf(usage), usage.output_tokens);
      const timings = readTimings(data.timings);
      if (timings !== undefined) answer.timings(timings);
      break;
    }
    case 'message_stop':
      answer.isDone = true;
      break;
    default:
  }
}

/** What came from the cache is counted apart there. */
function promptTokensOf(usage: Fields): number | undefined {
  const { input_tokens: fresh, cache_read_input_tokens: read, cache_creation_input_tokens: written } = usage;
  if (typeof fresh !== 'number') return undefined;
  return fresh + (typeof read === 'number' ? read : 0) + (typeof written === 'number' ? written : 0);
}

function readOllama(data: Fields, answer: Answer, now: number): void {
  if (typeof data.error === 'string') {
    answer.error = 'error in the stream';
    return;
  }
  const message = fieldsOf(data.message);
  const calls = Array.isArray(message?.tool_calls) && message.tool_calls.length > 0;
  if (isText(message?.content) || calls) answer.token(now, false);
  else if (isText(message?.thinking)) answer.token(now, true);
  if (data.done !== true) return;
  answer.isDone = true;
  answer.finish(data.done_reason);
  answer.usage(data.prompt_eval_count, data.eval_count);
  // Nanoseconds.
  if (typeof data.prompt_eval_duration === 'number')
    answer.timings({ promptMs: data.prompt_eval_duration / 1e6 });
}

function readNative(data: Fields, answer: Answer, now: number): void {
  if (readError(data, answer)) return;
  if (isText(data.token) || data.tool_call !== undefined) answer.token(now, false);
  else if (isText(data.reasoning)) answer.token(now, true);
  else if (data.finish_reason !== undefined) {
    answer.finish(data.finish_reason);
    const usage = fieldsOf(data.usage);
    if (usage !== undefined) answer.usage(usage.prompt_tokens, usage.completion_tokens);
    const timings = readTimings(data.timings);
    if (timings !== undefined) answer.timings(timings);
  }
}
