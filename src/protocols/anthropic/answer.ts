/**
 * Answers of /v1/messages: the schemas of the whole message and of the events of a stream, for OpenAPI (tests hold every answer to
 * them), and the parts that both have.
 */
import { type Static, Type } from 'typebox';
import type { FinishReason, GenerationRequest, Usage } from '../../core/generation.ts';
import type { AnswerContext } from '../protocol.ts';
import { modelOf, TimingsSchema } from '../rendering.ts';
import { ErrorBody } from './errors.ts';

const usage = {
  input_tokens: Type.Integer({ minimum: 0, description: 'Without those read from the cache.' }),
  cache_creation_input_tokens: Type.Literal(0),
  cache_read_input_tokens: Type.Integer({ minimum: 0 }),
  output_tokens: Type.Integer({ minimum: 0 }),
  output_tokens_details: Type.Object({
    thinking_tokens: Type.Integer({
      minimum: 0,
      description: '0 where the backend does not count them separately.',
    }),
  }),
  server_tool_use: Type.Null(),
};
const DeltaUsage = Type.Object(usage);
const UsageSchema = Type.Object({
  ...usage,
  cache_creation: Type.Null(),
  inference_geo: Type.Null(),
  service_tier: Type.Literal('standard'),
  speed: Type.Null(),
});

const TextBlock = Type.Object({ type: Type.Literal('text'), text: Type.String() });
const ThinkingBlock = Type.Object({
  type: Type.Literal('thinking'),
  thinking: Type.String(),
  signature: Type.Literal(''),
});
const ToolUseBlock = Type.Object({
  type: Type.Literal('tool_use'),
  id: Type.String(),
  name: Type.String(),
  input: Type.Object(
    {},
    {
      additionalProperties: true,
      description:
        '{"arguments_text": …} where what the model wrote is no JSON object: it was cut off. Not to be called.',
    },
  ),
});
const ContentBlock = Type.Union([TextBlock, ThinkingBlock, ToolUseBlock]);

const stop = {
  stop_reason: Type.Union([
    Type.Enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'refusal']),
    Type.Null(),
  ]),
  stop_sequence: Type.Union([Type.String(), Type.Null()]),
};

export const MessageAnswer = Type.Object({
  id: Type.String(),
  type: Type.Literal('message'),
  role: Type.Literal('assistant'),
  model: Type.String(),
  content: Type.Array(ContentBlock),
  ...stop,
  usage: UsageSchema,
});

export type MessageAnswer = Static<typeof MessageAnswer>;
export type ContentBlock = Static<typeof ContentBlock>;

const index = Type.Integer({ minimum: 0, description: 'Which block of the content.' });

/** The `data:` of one event of a stream. */
export const MessageEvent = Type.Union([
  Type.Object({ type: Type.Literal('message_start'), message: MessageAnswer }),
  Type.Object({ type: Type.Literal('content_block_start'), index, content_block: ContentBlock }),
  Type.Object({
    type: Type.Literal('content_block_delta'),
    index,
    delta: Type.Union([
      Type.Object({ type: Type.Literal('text_delta'), text: Type.String() }),
      Type.Object({ type: Type.Literal('thinking_delta'), thinking: Type.String() }),
      Type.Object({ type: Type.Literal('signature_delta'), signature: Type.Literal('') }),
      Type.Object({ type: Type.Literal('input_json_delta'), partial_json: Type.String() }),
    ]),
  }),
  Type.Object({ type: Type.Literal('content_block_stop'), index }),
  Type.Object({
    type: Type.Literal('message_delta'),
    delta: Type.Object(stop),
    usage: DeltaUsage,
    timings: TimingsSchema,
  }),
  Type.Object({ type: Type.Literal('message_stop') }),
  Type.Object({ type: Type.Literal('ping') }),
  ErrorBody,
]);

/** How the request wants its answer shown. */
export interface AnswerSettings {
  /** Thinking blocks are empty. */
  readonly hidesThinking: boolean;
}

export function messageHead({ id, model }: GenerationRequest, answer: AnswerContext) {
  return {
    id: id.replace(/^gen_/, 'msg_'),
    type: 'message',
    role: 'assistant',
    model: modelOf(model, answer),
  } as const;
}

const STOP_REASONS = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
} as const satisfies Record<FinishReason, string>;

export function renderStop(reason: FinishReason, matchedStop: string | undefined) {
  if (reason === 'stop' && matchedStop !== undefined)
    return { stop_reason: 'stop_sequence', stop_sequence: matchedStop } as const;
  return { stop_reason: STOP_REASONS[reason], stop_sequence: null };
}

/** At the end of a stream. */
export function renderUsage({ promptTokens, completionTokens, cachedTokens, reasoningTokens = 0 }: Usage) {
  return {
    input_tokens: Math.max(0, promptTokens - cachedTokens),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
    server_tool_use: null,
  } as const;
}

/** In a message. */
export function renderMessageUsage(usage: Usage) {
  return Object.assign(renderUsage(usage), {
    cache_creation: null,
    inference_geo: null,
    service_tier: 'standard',
    speed: null,
  } as const);
}
