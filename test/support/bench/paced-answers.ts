/**
 * Streams of answers as servers write them, in pieces: what comes before the first token, each token, the end. Written after vLLM 0.32.0
 * (openai-chat, openai-completions, anthropic), Ollama 0.32.15 (ollama) and llm-serve itself (native).
 */
import type { ProtocolName } from '../../../src/bench/protocols.ts';

export interface AnswerPieces {
  readonly contentType: string;
  readonly before: readonly string[];
  token(text: string): string;
  thought(text: string): string;
  end(counts: { readonly promptTokens: number; readonly outputTokens: number }): readonly string[];
}

const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`;
const named = (data: { readonly type: string }) => `event: ${data.type}\n${event(data)}`;
const line = (data: unknown) => `${JSON.stringify(data)}\n`;

const chat = (delta: object, finish: string | null = null) =>
  event({
    ...{ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm' },
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish, token_ids: null }],
  });
const completion = (text: string, finish: string | null = null) =>
  event({
    ...{ id: 'cmpl-1', object: 'text_completion', created: 1, model: 'm' },
    choices: [{ index: 0, text, logprobs: null, finish_reason: finish, stop_reason: null }],
  });
const openAiUsage = (promptTokens: number, outputTokens: number) =>
  event({
    ...{ id: 'x-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [] },
    usage: {
      prompt_tokens: promptTokens,
      total_tokens: promptTokens + outputTokens,
      completion_tokens: outputTokens,
    },
  });
const block = (delta: object) => named({ type: 'content_block_delta', ...{ index: 0, delta } });
const ollama = (message: object, more: object = {}) =>
  line({ model: 'm', created_at: '2026-11-26T14:54:12.984897989Z', message, done: false, ...more });

export const PIECES: Readonly<Record<ProtocolName, AnswerPieces>> = {
  'openai-chat': {
    contentType: 'text/event-stream; charset=utf-8',
    before: [chat({ role: 'assistant', content: '' })],
    token: (text) => chat({ content: text }),
    thought: (text) => chat({ reasoning: text }),
    end: ({ promptTokens, outputTokens }) => [
      chat({}, 'length'),
      openAiUsage(promptTokens, outputTokens),
      'data: [DONE]\n\n',
    ],
  },
  'openai-completions': {
    contentType: 'text/event-stream; charset=utf-8',
    before: [],
    token: (text) => completion(text),
    thought: (text) => completion(text),
    end: ({ promptTokens, outputTokens }) => [
      completion('', 'length'),
      openAiUsage(promptTokens, outputTokens),
      'data: [DONE]\n\n',
    ],
  },
  anthropic: {
    contentType: 'text/event-stream; charset=utf-8',
    before: [
      event({
        type: 'message_start',
        message: {
          id: 'm',
          content: [],
          model: 'm',
          role: 'assistant',
          type: 'message',
          usage: { input_tokens: 0, output_tokens: 0 },
        },
      }),
      named({ type: 'content_block_start', ...{ index: 0, content_block: { type: 'text', text: '' } } }),
    ],
    token: (text) => block({ type: 'text_delta', text }),
    thought: (text) => block({ type: 'thinking_delta', thinking: text }),
    end: ({ promptTokens, outputTokens }) => [
      named({ type: 'content_block_stop', ...{ index: 0 } }),
      named({
        type: 'message_delta',
        ...{
          delta: { stop_reason: 'max_tokens' },
          usage: { input_tokens: promptTokens, output_tokens: outputTokens },
        },
      }),
      named({ type: 'message_stop' }),
    ],
  },
  ollama: {
    contentType: 'application/x-ndjson',
    before: [],
    token: (text) => ollama({ role: 'assistant', content: text }),
    thought: (text) => ollama({ role: 'assistant', content: '', thinking: text }),
    end: ({ promptTokens, outputTokens }) => [
      ollama(
        { role: 'assistant', content: '' },
        {
          ...{ done: true, done_reason: 'length', total_duration: 1254409417, load_duration: 1092075348 },
          ...{ prompt_eval_count: promptTokens, prompt_eval_duration: 82678000, eval_count: outputTokens },
        },
      ),
    ],
  },
  native: {
    contentType: 'text/event-stream',
    before: [event({ queue: { position: 1, eta_ms: 20 } }), ': heartbeat\n\n'],
    token: (text) => event({ token: text }),
    thought: (text) => event({ reasoning: text }),
    end: ({ promptTokens, outputTokens }) => [
      event({
        finish_reason: 'length',
        usage: {
          prompt_tokens: promptTokens,
          completion_tokens: outputTokens,
          total_tokens: promptTokens + outputTokens,
        },
        timings: { queue_ms: 12, upstream_ms: 300, gateway_ms: 1, total_ms: 313 },
      }),
      'data: [DONE]\n\n',
    ],
  },
};
