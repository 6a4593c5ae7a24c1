/** The answers of chat completions: the whole body, and the chunks of a stream, with the same id and time in each. */
import { Type } from 'typebox';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  TokenLogprob,
  ToolCall,
  Usage,
} from '../../../core/generation.ts';
import type { AnswerContext, AnswerRenderer, StreamEncoder } from '../../protocol.ts';
import { nullable, renderToken, SSE, SSE_HEARTBEAT, sseEvent, TimingsSchema } from '../../rendering.ts';
import {
  chunkEncoder,
  completionHead,
  finishReason,
  headFields,
  renderUsage,
  UsageSchema,
} from '../completion-object.ts';
import { OpenAiError, openAiError } from '../errors.ts';

const likelyToken = {
  token: Type.String({ description: 'U+FFFD for bytes that are no character by themselves.' }),
  logprob: Type.Number({ maximum: 0, description: '-9999 stands for anything less likely.' }),
  bytes: Type.Array(Type.Integer({ minimum: 0, maximum: 255 })),
};

const ChatLogprobs = Type.Object({
  content: Type.Array(
    Type.Object({
      ...likelyToken,
      top_logprobs: Type.Array(Type.Object(likelyToken), { description: 'Likeliest first.' }),
    }),
  ),
  refusal: Type.Null(),
});

const callHead = { id: Type.String(), type: Type.Literal('function') };

export const ChatCompletion = Type.Object({
  ...headFields,
  object: Type.Literal('chat.completion'),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer({ minimum: 0 }),
      message: Type.Object({
        role: Type.Literal('assistant'),
        content: nullable(Type.String({ description: 'null where there are only calls.' })),
        refusal: Type.Null(),
        reasoning_content: Type.Optional(Type.String({ description: 'The model’s reasoning before it.' })),
        tool_calls: Type.Optional(
          Type.Array(
            Type.Object({
              ...callHead,
              function: Type.Object({
                name: Type.String(),
                arguments: Type.String({
                  description: 'As the model wrote it: the text of a JSON object, unless it was cut off.',
                }),
              }),
            }),
            { minItems: 1 },
          ),
        ),
      }),
      logprobs: nullable(ChatLogprobs),
      finish_reason: finishReason,
    }),
    { minItems: 1 },
  ),
  usage: UsageSchema,
});

const callIndex = Type.Integer({ minimum: 0, description: 'Which call of this answer, from 0.' });

const Delta = Type.Object({
  role: Type.Optional(Type.Literal('assistant')),
  content: Type.Optional(Type.String()),
  refusal: Type.Optional(Type.Null()),
  reasoning_content: Type.Optional(Type.String({ minLength: 1 })),
  tool_calls: Type.Optional(
    Type.Array(
      Type.Union([
        Type.Object({
          index: callIndex,
          ...callHead,
          function: Type.Object({ name: Type.String(), arguments: Type.Literal('') }),
        }),
        Type.Object({
          index: callIndex,
          function: Type.Object({ arguments: Type.String({ minLength: 1 }) }),
        }),
      ]),
      { minItems: 1, maxItems: 1 },
    ),
  ),
});

/** The `data:` of one event. */
export const ChatChunk = Type.Union([
  Type.Object({
    ...headFields,
    object: Type.Literal('chat.completion.chunk'),
    choices: Type.Array(
      Type.Object({
        index: Type.Integer({ minimum: 0 }),
        delta: Delta,
        logprobs: nullable(ChatLogprobs),
        finish_reason: nullable(finishReason),
      }),
      { maxItems: 1, description: 'Empty in the chunk that has the usage.' },
    ),
    usage: Type.Optional(nullable(UsageSchema)),
    timings: Type.Optional(TimingsSchema),
  }),
  OpenAiError,
]);

/** `includeUsage`: a stream has a chunk with the usage. */
export function chatRenderer(requests: readonly GenerationRequest[], includeUsage: boolean): AnswerRenderer {
  const wantsLogprobs = requests[0]?.logprobs !== undefined;
  return {
    whole: (results, answer) =>
      Object.assign(completionHead(requests, { prefix: 'chatcmpl', object: 'chat.completion' }, answer), {
        choices: results.map((result, index) => renderChoice(result, index, wantsLogprobs)),
        usage: renderUsage(
          results.map(({ usage }) => usage),
          results.length,
        ),
      }),
    stream: (answer) => chatStream(requests, { includeUsage, wantsLogprobs }, answer),
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

function renderLogprobs(logprobs: readonly TokenLogprob[]) {
  const content = logprobs.map((token) => ({
    ...renderToken(token),
    top_logprobs: token.top.map(renderToken),
  }));
  return { content, refusal: null };
}

/** The first chunk of each choice, written with the first event that it has. */
const ROLE_DELTA = '{"role":"assistant","content":"","refusal":null}';
const UNFINISHED = ',"logprobs":null,"finish_reason":null}';

function chatStream(
  requests: readonly GenerationRequest[],
  { includeUsage, wantsLogprobs }: { readonly includeUsage: boolean; readonly wantsLogprobs: boolean },
  answer: AnswerContext,
): StreamEncoder {
  const head = () =>
    completionHead(requests, { prefix: 'chatcmpl', object: 'chat.completion.chunk' }, answer);
  const { chunk, finish, end } = chunkEncoder(head, {
    includeUsage,
    choices: requests.length,
    choicesPerPrompt: requests.length,
    timings: answer.timings,
  });
  const hasBegun: boolean[] = [];
  const usages: Usage[] = [];
  return {
    contentType: SSE,
    encode: (event, choice) => {
      if (event.type === 'finish') usages[choice] = event.usage;
      const rest = restOfChoice(event, wantsLogprobs);
      if (rest === undefined) return undefined;
      const write = event.type === 'finish' ? finish : chunk;
      const written = write(`{"index":${choice},"delta":${rest}`);
      if (hasBegun[choice]) return written === '' ? undefined : written;
      hasBegun[choice] = true;
      return chunk(`{"index":${choice},"delta":${ROLE_DELTA}${UNFINISHED}`) + written;
    },
    end: () => end(usages),
    error: (error) => sseEvent(openAiError(error)),
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
      if (!wantsLogprobs) return delta + UNFINISHED;
      return `${delta},"logprobs":${JSON.stringify(renderLogprobs(event.logprobs ?? []))},"finish_reason":null}`;
    }
    case 'reasoning':
      return `{"reasoning_content":${JSON.stringify(event.text)}}${UNFINISHED}`;
    case 'tool-call': {
      const called = `{"name":${JSON.stringify(event.name)},"arguments":""}`;
      const call = `{"index":${event.index},"id":${JSON.stringify(event.id)},"type":"function","function":${called}}`;
      return `{"tool_calls":[${call}]}${UNFINISHED}`;
    }
    case 'tool-arguments': {
      if (event.delta === '') return undefined;
      const called = `{"arguments":${JSON.stringify(event.delta)}}`;
      return `{"tool_calls":[{"index":${event.index},"function":${called}}]}${UNFINISHED}`;
    }
    case 'finish':
      return `{},"logprobs":null,"finish_reason":"${event.reason}"}`;
    default:
      throw event satisfies never;
  }
}
