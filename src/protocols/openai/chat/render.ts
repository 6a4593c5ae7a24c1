/** Chat completions: the whole body, and the chunks of a stream. The same id and time everywhere. */
import type { GenerationEvent, GenerationRequest, TokenLogprob, ToolCall } from '../../../core/generation.ts';
import type { GenerationResult } from '../../../core/generation-result.ts';
import type { Usage } from '../../../core/usage.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../../generation-route.ts';
import { eventLines, SSE, SSE_HEARTBEAT } from '../../server-sent-events.ts';
import { answerHead, chunkFrame } from '../answer-head.ts';
import { openAiError } from '../errors.ts';
import { renderUsage } from '../usage.ts';
import { renderLogprobs } from './logprobs.ts';

interface ChatAnswer {
  readonly includeUsage: boolean;
}

export function chatRenderer(
  requests: readonly GenerationRequest[],
  { includeUsage }: ChatAnswer,
): AnswerRenderer {
  const wantsLogprobs = requests[0]?.logprobs !== undefined;
  return {
    whole: (results, answer) =>
      Object.assign(answerHead(requests, { prefix: 'chatcmpl', object: 'chat.completion' }, answer), {
        choices: results.map((result, index) => renderChoice(result, index, wantsLogprobs)),
        usage: renderUsage(
          results.map(({ usage }) => usage),
          results.length,
        ),
      }),
    stream: (answer) => streamOf(requests, { includeUsage, wantsLogprobs }, answer),
  };
}

function renderChoice(result: GenerationResult, index: number, wantsLogprobs: boolean) {
  const { text, reasoning, toolCalls, logprobs, finishReason } = result;
  return {
    index,
    message: {
      role: 'assistant',
      content: text === '' && toolCalls.length > 0 ? null : text,
      refusal: null,
      ...(reasoning !== '' && { reasoning_content: reasoning }),
      ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(renderCall) }),
    },
    logprobs: wantsLogprobs ? renderLogprobs(logprobs) : null,
    finish_reason: finishReason,
  };
}

function renderCall({ id, name, arguments: text }: ToolCall) {
  return { id, type: 'function', function: { name, arguments: text } };
}

/** Of a choice: its first chunk, with the first event it has. */
const ROLE_DELTA = '{"role":"assistant","content":"","refusal":null}';
const GOES_ON = ',"logprobs":null,"finish_reason":null}';

function streamOf(
  requests: readonly GenerationRequest[],
  { includeUsage, wantsLogprobs }: ChatAnswer & { readonly wantsLogprobs: boolean },
  answer: AnswerContext,
): StreamEncoder {
  const head = answerHead(requests, { prefix: 'chatcmpl', object: 'chat.completion.chunk' }, answer);
  const frame = chunkFrame(head, { includeUsage, answersPerPrompt: requests.length });
  const begun = new Set<number>();
  const usages: Usage[] = [];
  return {
    contentType: SSE,
    encode: (event, choice) => {
      if (event.type === 'finish') usages[choice] = event.usage;
      const rest = restOfChoice(event, wantsLogprobs);
      if (rest === undefined) return undefined;
      const chunk = frame.chunk(`{"index":${choice},"delta":${rest}`);
      if (begun.has(choice)) return chunk;
      begun.add(choice);
      return frame.chunk(`{"index":${choice},"delta":${ROLE_DELTA}${GOES_ON}`) + chunk;
    },
    end: () => frame.end(usages),
    error: (error) => eventLines(openAiError(error)),
    heartbeat: () => SSE_HEARTBEAT,
  };
}

/** The choice of one chunk, from its delta on. */
function restOfChoice(event: GenerationEvent, wantsLogprobs: boolean): string | undefined {
  switch (event.type) {
    case 'start':
      return undefined;
    case 'text': {
      const delta = `{"content":${JSON.stringify(event.text)}}`;
      return wantsLogprobs ? delta + withLogprobs(event.logprobs ?? []) : delta + GOES_ON;
    }
    case 'reasoning':
      return `{"reasoning_content":${JSON.stringify(event.text)}}${GOES_ON}`;
    case 'tool-call': {
      const called = `{"name":${JSON.stringify(event.name)},"arguments":""}`;
      const call = `{"index":${event.index},"id":${JSON.stringify(event.id)},"type":"function","function":${called}}`;
      return `{"tool_calls":[${call}]}${GOES_ON}`;
    }
    case 'tool-arguments': {
      if (event.delta === '') return undefined;
      const called = `{"arguments":${JSON.stringify(event.delta)}}`;
      return `{"tool_calls":[{"index":${event.index},"function":${called}}]}${GOES_ON}`;
    }
    case 'finish':
      return `{},"logprobs":null,"finish_reason":"${event.reason}"}`;
    default:
      throw event satisfies never;
  }
}

function withLogprobs(logprobs: readonly TokenLogprob[]): string {
  return `,"logprobs":${JSON.stringify(renderLogprobs(logprobs))},"finish_reason":null}`;
}
