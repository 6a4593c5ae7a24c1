/** text.format becomes the core's OutputFormat. */

import { type Static, Type } from 'typebox';
import { ServingError } from '../../../core/errors.ts';
import { OUTPUT_EXTRAS } from '../../../core/features.ts';
import type {
  GenerationInput,
  GenerationRequest,
  LogprobsOptions,
  Message,
  OutputFormat,
  RequestId,
} from '../../../core/generation.ts';
import { normalizeTurns } from '../../../core/normalize-turns.ts';
import { showValue } from '../../../schema/violation.ts';
import { extrasOf, nullableBodyReader, refuseDeepNesting } from '../../body-reader.ts';
import { invalid } from '../../field-errors.ts';
import type {
  FieldNames,
  GenerationRoute,
  ParseContext,
  ParsedGeneration,
  QueryRoute,
} from '../../protocol.ts';
import { EFFORT_LEVELS, parseLimits, parseSampling, rejectUnsupported } from '../request-fields.ts';
import { parseStructuredOutput } from '../structured-output.ts';
import { ResponseEvent, ResponseObject } from './answer-schema.ts';
import { hostedItemsIn, parseItems } from './conversation.ts';
import { refuseFields } from './refusals.ts';
import { echoOf, type RenderOptions, type TextFormatBody } from './render.ts';
import {
  JsonSchemaFormat,
  ReasoningSettings,
  ResponsesBody,
  ResponsesFields,
  TextSettings,
} from './schema.ts';
import { responsesRenderer } from './stream.ts';
import { type OfferedTools, parseToolChoice, parseTools, toolDefinitionsIn, toolUseOf } from './tools.ts';

const readSettings = nullableBodyReader(TextSettings);
const readSchemaFormat = nullableBodyReader(JsonSchemaFormat);

/** Checked, and nothing else than what is known of it: answers repeat it. */
function parseFormat(text: ResponsesFields['text']): TextFormatBody {
  const { format } = readSettings(text ?? {}, 'text');
  if (format === undefined) return { type: 'text' };
  const { type } = format as { readonly type?: unknown };
  if (type === 'json_schema') {
    const { name, description, schema, strict } = readSchemaFormat(format, 'text.format');
    return {
      type,
      name,
      ...(description !== undefined && { description }),
      schema,
      ...(strict !== undefined && { strict }),
    };
  }
  if (type === 'text' || type === 'json_object') return { type };
  throw invalid(
    'text.format.type',
    `text.format.type is ${showValue(type)}, but must be one of "text", "json_object", "json_schema".`,
  );
}

function outputFormatOf(format: TextFormatBody): OutputFormat | undefined {
  switch (format.type) {
    case 'text':
      return undefined;
    case 'json_object':
      return { kind: 'json' };
    case 'json_schema':
      return { kind: 'json-schema', schema: format.schema };
    default:
      throw format satisfies never;
  }
}

/** Whether a response is to tell log-probabilities. */

const LOGPROBS = 'message.output_text.logprobs';

/** Whoever names a number of likeliest tokens wants to see them. */
function parseLogprobs({ include = [], top_logprobs = 0 }: ResponsesFields): LogprobsOptions | undefined {
  return include.includes(LOGPROBS) || top_logprobs > 0 ? { top: top_logprobs } : undefined;
}

/** A body of POST /v1/responses becomes a GenerationRequest. */

const read = nullableBodyReader(ResponsesFields);
const readReasoning = nullableBodyReader(ReasoningSettings);

function parseResponses(raw: unknown, context: ParseContext): ParsedGeneration {
  const { request, body, frame, answered, dropped, fieldNames } = parseRequest(raw, context);
  return {
    requests: [request],
    delivery: body.stream ? 'stream' : 'whole',
    timeoutMs: undefined,
    priority: undefined,
    ...(dropped.length > 0 && { dropped }),
    renderer: responsesRenderer(request, frame, answered),
    fieldNames,
  };
}

function parseRequest(raw: unknown, context: Pick<ParseContext, 'newRequestId' | 'requireModel'>) {
  // Anything but an object is refused by the reader, and not walked before.
  if (isObject(raw)) for (const [field, value] of Object.entries(raw)) refuseDeepNesting(value, field);
  refuseFields(raw);
  const body = read(raw, '');
  rejectUnsupported(body);
  const offered = parseTools(toolDefinitionsIn(body));
  const toolChoice = parseToolChoice(body.tool_choice, offered);
  const format = parseFormat(body.text);
  const { effort, summary } = readReasoning(body.reasoning ?? {}, 'reasoning');
  const input = parseInput(body, offered);
  const tools = toolUseOf(offered, toolChoice, body);
  const { output, fieldNames } = parseStructuredOutput(body, outputFormatOf(format));
  const logprobs = parseLogprobs(body);
  const extras = extrasOf(body, ResponsesFields, OUTPUT_EXTRAS);
  const { id: model, contextSize } = context.requireModel(body.model);
  const request: GenerationRequest = {
    id: context.newRequestId(),
    model,
    input,
    sampling: parseSampling(body),
    limits: parseLimits(body, limitOf(body, contextSize)),
    ...(effort !== undefined && { thinking: EFFORT_LEVELS[effort] }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
    ...(extras !== undefined && { extras }),
  };
  const reasoning = { effort: effort ?? null, summary: summary === 'none' ? null : (summary ?? null) };
  const frame = echoOf({ request, body, tools: offered.echo, toolChoice, format, reasoning });
  const answered: RenderOptions = { tools: offered, summarises: reasoning.summary !== null };
  const dropped = [...offered.dropped, ...hostedItemsIn(body.input)];
  return { request, body, frame, answered, dropped, fieldNames };
}

function parseInput({ input, instructions = '' }: ResponsesFields, tools: OfferedTools): GenerationInput {
  const messages: readonly Message[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : parseItems(input, tools);
  const system: readonly Message[] = instructions === '' ? [] : [{ role: 'system', content: instructions }];
  return { kind: 'chat', messages: normalizeTurns([...system, ...messages]) };
}

function limitOf(
  { max_output_tokens }: ResponsesFields,
  contextSize = Number.POSITIVE_INFINITY,
): Pick<GenerationRequest['limits'], 'maxTokens'> {
  return max_output_tokens === undefined ? {} : { maxTokens: Math.min(max_output_tokens, contextSize) };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What native fields are called in the body of a response. */

const fieldNames: FieldNames = {
  // What is asked before them, and turns that were joined, shift the numbers of messages.
  messages: (rest) => (rest.endsWith('.images') ? 'input.image_url' : 'input'),
  prompt: 'input',
  max_tokens: 'max_output_tokens',
  repeat_penalty: 'repetition_penalty',
  format: (rest) => (rest === '' ? 'text.format' : `text.format.schema${rest}`),
  think: 'reasoning.effort',
  logprobs: 'include',
};

/** POST /v1/responses/input_tokens: how long the prompt of a response would be. */

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
      'Takes what POST /v1/responses takes, and refuses the same. As the model’s own vocabulary and chat template have it; ' +
      'refused where its backend does not tell.',
    body: ResponsesBody,
    example: { input: 'What is the capital of France?' },
    answers: { 'application/json': InputTokens },
  },
  answer: async ({ body }, house): Promise<Static<typeof InputTokens>> => {
    const { request } = parseRequest(body, {
      requireModel: (name) => house.requireModel(name),
      // It goes nowhere.
      newRequestId: () => '' as RequestId,
    });
    const { model, input, tools } = request;
    const tokens = await house.tokenize(model, { input, ...(tools !== undefined && { tools }) });
    return { object: 'response.input_tokens', input_tokens: tokens.length };
  },
};

/** POST /v1/responses: the Responses API without its memory. What is kept nowhere cannot be asked for later. */

export const respondRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/responses',
  describes: {
    summary: 'Respond',
    description:
      'Text, function and custom tools, whole or as events. Nothing is kept: each request brings the whole conversation, ' +
      'and what needs a memory (previous_response_id, conversation, background, prompt, item references) is refused. ' +
      'The vendor’s own tools, and what they left in the input, are dropped and named in X-Dropped-Parameters. ' +
      'Fields that are null count as absent; fields that are not named here go to backends that ' +
      'take them by name, and are ignored elsewhere. A stream that fails ends with response.failed and an error event.',
    body: ResponsesBody,
    example: { input: 'What is the capital of France?', max_output_tokens: 32 },
    answers: { 'application/json': ResponseObject, 'text/event-stream': ResponseEvent },
  },
  fieldNames,
  parse: parseResponses,
};

function notKept(method: QueryRoute['method'], summary: string): QueryRoute {
  return {
    kind: 'query',
    method,
    path: '/v1/responses/*',
    limited: false,
    describes: {
      summary,
      description: 'Always answers 404: responses are not kept.',
      answers: {},
    },
    answer: () => {
      throw new ServingError('not_found', {
        message:
          'Responses are not kept here, so there is none to find. Keep what POST /v1/responses answers.',
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
