/**
 * POST /v1/responses: the Responses API without its memory, and /v1/responses/input_tokens, which counts its prompt. Nothing is
 * kept between two requests, so nothing can be looked up later.
 */
import { type Static, Type } from 'typebox';
import { ServingError } from '../../../core/errors.ts';
import { OUTPUT_EXTRAS } from '../../../core/features.ts';
import type {
  GenerationRequest,
  GenerationResult,
  LogprobsOptions,
  Message,
  OutputFormat,
  RequestId,
} from '../../../core/generation.ts';
import { normalizeTurns } from '../../../core/normalize-turns.ts';
import { extrasOf, nullableBodyReader, refuseDeepNesting } from '../../body-reader.ts';
import { CITY_SCHEMA, QUESTION } from '../../examples.ts';
import type {
  FieldNames,
  GenerationRoute,
  ParseContext,
  ParsedGeneration,
  QueryRoute,
} from '../../protocol.ts';
import { unsupported } from '../errors.ts';
import {
  EFFORTS,
  END_USER_FIELDS,
  parseLimits,
  parseSampling,
  rejectUnanswerable,
} from '../request-fields.ts';
import { parseStructuredOutput } from '../structured-output.ts';
import { ResponseEvent, ResponseObject } from './answer-schema.ts';
import { type Conversation, itemReference, parseItems } from './conversation.ts';
import { echoOf, type ResponseContext, renderResponse } from './render.ts';
import { ResponsesBody, type TextFormat } from './schema.ts';
import { responseStream } from './stream.ts';
import { type OfferedTools, parseTools, parseToolUse } from './tools.ts';

/** What native fields are called in the body of a response. */
const fieldNames: FieldNames = {
  // Instructions, and turns that were joined, shift the numbers of messages.
  messages: (rest) => (rest.endsWith('.images') ? 'input.image_url' : 'input'),
  prompt: 'input',
  max_tokens: 'max_output_tokens',
  repeat_penalty: 'repetition_penalty',
  format: (rest) => (rest === '' ? 'text.format' : `text.format.schema${rest}`),
  think: 'reasoning.effort',
  logprobs: 'include',
};

export const respondRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/responses',
  fieldNames,
  describes: {
    summary: 'Respond',
    description:
      'Text, function and custom tools, whole or as events. Nothing is kept: each request brings the whole conversation, ' +
      'and what needs a memory (previous_response_id, conversation, background, prompt, item references) is rejected. ' +
      'The vendor’s own tools, and what they left in the input, are dropped and named in X-Dropped-Parameters. ' +
      'Fields that are null count as absent; fields that are not named here go to backends that ' +
      'take them by name, and are ignored elsewhere. A stream that fails ends with response.failed and an error event.',
    body: {
      schema: ResponsesBody,
      examples: {
        'A question': { input: QUESTION, max_output_tokens: 32 },
        'Structured output': {
          input: QUESTION,
          text: { format: { type: 'json_schema', name: 'city', schema: CITY_SCHEMA } },
          max_output_tokens: 64,
        },
        'A tool call': {
          input: 'How warm is it in Paris?',
          tools: [
            {
              type: 'function',
              name: 'get_weather',
              description: 'The weather of a city.',
              parameters: CITY_SCHEMA,
            },
          ],
          tool_choice: 'required',
          max_output_tokens: 64,
        },
      },
    },
    answers: { 'application/json': ResponseObject, 'text/event-stream': ResponseEvent },
  },
  parse: (raw, context) => {
    const { request, body, response, dropped, fieldNames } = parseResponse(raw, context);
    return {
      requests: [request],
      delivery: body.stream ? 'stream' : 'whole',
      timeoutMs: undefined,
      priority: undefined,
      ...(dropped.length > 0 && { dropped }),
      renderer: {
        whole: ([result], answer) => renderResponse(response, result as GenerationResult, answer),
        stream: (answer) => responseStream(response, answer),
      },
      fieldNames,
    };
  },
};

const InputTokens = Type.Object({
  object: Type.Literal('response.input_tokens'),
  input_tokens: Type.Integer({ minimum: 0 }),
});

export const inputTokensRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/v1/responses/input_tokens',
  limited: true,
  fieldNames,
  describes: {
    summary: 'Count the tokens of a response’s prompt',
    description:
      'Takes what POST /v1/responses takes, and rejects the same. Counted with the model’s own vocabulary and chat template; ' +
      'rejected where its backend does not count tokens.',
    body: { schema: ResponsesBody, examples: { 'A question': { input: QUESTION } } },
    answers: { 'application/json': InputTokens },
  },
  answer: async ({ body }, context): Promise<Static<typeof InputTokens>> => {
    const { request } = parseResponse(body, {
      requireModel: (name) => context.requireModel(name),
      // It goes nowhere.
      newRequestId: () => '' as RequestId,
    });
    const { model, input, tools } = request;
    const tokens = await context.tokenize(model, { input, ...(tools !== undefined && { tools }) });
    return { object: 'response.input_tokens', input_tokens: tokens.length };
  },
};

function notKept(method: QueryRoute['method'], summary: string): QueryRoute {
  return {
    kind: 'query',
    method,
    path: '/v1/responses/*',
    limited: false,
    describes: { summary, description: 'Always answers 404: responses are not kept.', answers: {} },
    answer: () => {
      throw new ServingError('not_found', {
        message: 'Responses are not kept here. Keep what POST /v1/responses answers.',
      });
    },
  };
}

export const responsesRoutes = [
  respondRoute,
  inputTokensRoute,
  notKept('GET', 'Get a response (none is kept)'),
  notKept('DELETE', 'Delete a response (none is kept)'),
];

interface ParsedResponse extends Pick<ParsedGeneration, 'fieldNames'> {
  readonly request: GenerationRequest;
  readonly body: ResponsesBody;
  readonly response: ResponseContext;
  /** As X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

const PASSED_ON = [...OUTPUT_EXTRAS, ...END_USER_FIELDS];

const readBody = nullableBodyReader(ResponsesBody);

function parseResponse(
  raw: unknown,
  context: Pick<ParseContext, 'newRequestId' | 'requireModel'>,
): ParsedResponse {
  rejectFields(raw);
  const body = readBody(raw);
  rejectUnanswerable(body);
  const tools = parseTools(body);
  const { toolChoice, use } = parseToolUse(body, tools);
  const { messages, dropped } = parseInput(body, tools);
  const format = textFormatOf(body);
  const { output, fieldNames } = parseStructuredOutput(body, outputFormatOf(format));
  const logprobs = parseLogprobs(body);
  const extras = extrasOf(body, ResponsesBody, PASSED_ON);
  const { effort, summary } = body.reasoning ?? {};
  const { id: model, contextSize } = context.requireModel(body.model);
  const request: GenerationRequest = {
    id: context.newRequestId(),
    model,
    input: { kind: 'chat', messages },
    sampling: parseSampling(body),
    limits: parseLimits(body, { maxTokens: body.max_output_tokens, contextSize }),
    ...(effort !== undefined && { thinking: EFFORTS[effort] }),
    ...(output !== undefined && { output }),
    ...(use !== undefined && { tools: use }),
    ...(logprobs !== undefined && { logprobs }),
    ...(extras !== undefined && { extras }),
  };
  const reasoning = { effort: effort ?? null, summary: summary === 'none' ? null : (summary ?? null) };
  const echo = echoOf(request, body, { tools: tools.echo, toolChoice, format, reasoning });
  return {
    request,
    body,
    response: { request, echo, tools, showsSummary: reasoning.summary !== null },
    dropped: [...tools.dropped, ...dropped],
    fieldNames,
  };
}

const WHOLE_CONVERSATION =
  'Send the whole conversation in input, with what earlier responses had in their output.';

interface RejectedField {
  /** Absent: any value. */
  readonly rejects?: (value: unknown) => boolean;
  /** Follows the field's name: why, and what to do instead. */
  readonly reason: string;
}

/** Fields that need something kept between two requests, and those of other routes. */
const REJECTED_FIELDS: Readonly<Record<string, RejectedField>> = {
  previous_response_id: { reason: `is not supported: no response is kept here. ${WHOLE_CONVERSATION}` },
  conversation: { reason: `is not supported: no conversation is kept here. ${WHOLE_CONVERSATION}` },
  prompt: {
    reason:
      'is not supported: no prompt templates are kept here. Write the prompt into instructions and input.',
  },
  background: {
    rejects: (value) => value === true,
    reason:
      'cannot be true: no response is kept here, so none could be looked up later. Remove it and wait, or set stream to true.',
  },
  truncation: {
    rejects: (value) => value === 'auto',
    reason:
      'cannot be "auto": nothing of a conversation is cut here. Remove it, and send what fits into the context.',
  },
  context_management: {
    reason: 'is not supported: nothing is compacted here. Remove it, and send what fits into the context.',
  },
  moderation: { reason: 'is not supported: nothing is moderated here. Remove it.' },
  messages: { reason: 'belongs to /v1/chat/completions. Here it is input.' },
  max_tokens: { reason: 'belongs to /v1/chat/completions. Here it is max_output_tokens.' },
  max_completion_tokens: { reason: 'belongs to /v1/chat/completions. Here it is max_output_tokens.' },
  response_format: { reason: 'belongs to /v1/chat/completions. Here it is text.format.' },
  reasoning_effort: { reason: 'belongs to /v1/chat/completions. Here it is reasoning.effort.' },
  logprobs: {
    rejects: (value) => value !== false,
    reason:
      'belongs to /v1/chat/completions. Here it is include, with the value "message.output_text.logprobs".',
  },
  logit_bias: { reason: 'is not part of this API. Use /v1/chat/completions.' },
  n: {
    rejects: (value) => value !== 1,
    reason: 'is not part of this API: a request has one response. Use /v1/chat/completions.',
  },
  functions: { reason: 'belongs to /v1/chat/completions. Here it is tools.' },
  function_call: { reason: 'belongs to /v1/chat/completions. Here it is tool_choice.' },
};

/** Anything but an object is left to the reader. */
function rejectFields(raw: unknown): void {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return;
  for (const [field, value] of Object.entries(raw)) {
    refuseDeepNesting(value, field);
    const rejected = Object.hasOwn(REJECTED_FIELDS, field) ? REJECTED_FIELDS[field] : undefined;
    if (rejected === undefined || value === null) continue;
    if (rejected.rejects?.(value) ?? true) throw unsupported(field, rejected.reason);
  }
  const { input } = raw as { readonly input?: unknown };
  const index = Array.isArray(input) ? input.findIndex(isUntypedReference) : -1;
  if (index >= 0) throw itemReference(`input[${index}]`);
}

/** Only references and messages may come without their type, and a message has a role. */
function isUntypedReference(item: unknown): boolean {
  const { type, role, id } = Object(item) as Readonly<Record<string, unknown>>;
  return (type ?? role ?? undefined) === undefined && typeof id === 'string';
}

function parseInput({ input, instructions = '' }: ResponsesBody, tools: OfferedTools): Conversation {
  const { messages, dropped }: Conversation =
    typeof input === 'string'
      ? { messages: [{ role: 'user', content: input }], dropped: [] }
      : parseItems(input, tools);
  const system: readonly Message[] = instructions === '' ? [] : [{ role: 'system', content: instructions }];
  return { messages: normalizeTurns([...system, ...messages]), dropped };
}

/** Without fields that are not known: answers repeat it. */
function textFormatOf({ text }: ResponsesBody): TextFormat {
  const format = text?.format;
  if (format === undefined) return { type: 'text' };
  if (format.type !== 'json_schema') return { type: format.type };
  const { type, name, description, schema, strict } = format;
  return {
    type,
    name,
    ...(description !== undefined && { description }),
    schema,
    ...(strict !== undefined && { strict }),
  };
}

function outputFormatOf(format: TextFormat): OutputFormat | undefined {
  if (format.type === 'json_schema') return { kind: 'json-schema', schema: format.schema };
  return format.type === 'json_object' ? { kind: 'json' } : undefined;
}

/** A number of likeliest tokens asks for them too. */
function parseLogprobs({ include = [], top_logprobs = 0 }: ResponsesBody): LogprobsOptions | undefined {
  const isAsked = include.includes('message.output_text.logprobs') || top_logprobs > 0;
  return isAsked ? { top: top_logprobs } : undefined;
}
