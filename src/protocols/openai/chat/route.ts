/** A chat body becomes GenerationRequests, one for each choice. Its unknown fields travel along for targets that know them. */

import { OUTPUT_EXTRAS } from '../../../core/features.ts';
import type { GenerationInput, GenerationRequest, LogprobsOptions } from '../../../core/generation.ts';
import { extrasOf, nullableBodyReader } from '../../body-reader.ts';
import { invalid } from '../../field-errors.ts';
import type { FieldNames, GenerationRoute, ParseContext, ParsedGeneration } from '../../protocol.ts';
import { unsupported } from '../errors.ts';
import {
  clampToContext,
  EFFORT_LEVELS,
  parseDelivery,
  parseLimits,
  parseSampling,
  rejectUnsupported,
  requestPerChoice,
} from '../request-fields.ts';
import { parseStructuredOutput } from '../structured-output.ts';
import { parseConversation } from './conversation.ts';
import { ChatChunk, ChatCompletion, chatRenderer } from './render.ts';
import { ChatBody } from './schema.ts';
import { parseTools } from './tools.ts';

const read = nullableBodyReader(ChatBody);

/** Read here, and told by the same name to servers that have it. */
const ALSO_EXTRAS = [...OUTPUT_EXTRAS, 'add_generation_prompt'];

/** Refused where they are given at all: what to do instead. */
const REFUSED_FIELDS = {
  functions: 'Use tools instead.',
  function_call: 'Use tool_choice instead.',
  audio: 'Ask for text.',
  web_search_options: 'Search with a tool of your own.',
} as const satisfies Partial<Record<keyof ChatBody, string>>;

const REFUSED = Object.keys(REFUSED_FIELDS) as (keyof typeof REFUSED_FIELDS)[];

function parseChat(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = read(raw);
  refuseFields(body);
  rejectUnsupported(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const input = parseInput(body);
  const tools = parseTools(body);
  const { output, fieldNames } = parseStructuredOutput(body);
  const logprobs = parseLogprobs(body);
  const extras = extrasOf(body, ChatBody, ALSO_EXTRAS);
  const model = context.requireModel(body.model);
  const mostTokens = body.max_completion_tokens ?? body.max_tokens;
  const request: Omit<GenerationRequest, 'id'> = {
    model: model.id,
    input,
    sampling: parseSampling(body),
    limits: parseLimits(
      body,
      mostTokens === undefined ? {} : { maxTokens: clampToContext(mostTokens, model.contextSize) },
    ),
    ...(body.reasoning_effort !== undefined && { thinking: EFFORT_LEVELS[body.reasoning_effort] }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
    ...(extras !== undefined && { extras }),
  };
  const requests = requestPerChoice(request, body.n ?? 1, context.newRequestId);
  return {
    requests,
    delivery,
    timeoutMs: undefined,
    priority: undefined,
    renderer: chatRenderer(requests, { includeUsage }),
    fieldNames,
  };
}

function refuseFields(body: ChatBody): void {
  for (const field of REFUSED) {
    if (body[field] !== undefined) throw unsupported(field, 'is not supported', REFUSED_FIELDS[field]);
  }
  const other = body.modalities?.findIndex((modality) => modality !== 'text') ?? -1;
  if (other !== -1)
    throw unsupported(
      `modalities[${other}]`,
      'is not supported',
      'Ask for ["text"], or leave modalities away.',
    );
}

function parseInput(body: ChatBody): GenerationInput {
  const messages = parseConversation(body.messages);
  if (!body.continue_final_message) return { kind: 'chat', messages };
  const field = 'continue_final_message';
  if (body.add_generation_prompt)
    throw invalid(
      'add_generation_prompt',
      `add_generation_prompt and ${field} are both true, but the answer either begins a turn or continues the last message.`,
    );
  if (messages.at(-1)?.role !== 'assistant')
    throw invalid(field, `${field} is true, but the last message has not role "assistant".`);
  return { kind: 'chat', messages, continuesLast: true };
}

function parseLogprobs({ logprobs, top_logprobs }: ChatBody): LogprobsOptions | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  // Some send a 0 whether they want any or not.
  if (top_logprobs !== undefined && top_logprobs > 0)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}

/** What native fields are called in a chat's body. */

export const fieldNames: FieldNames = {
  format: (rest) => (rest === '' ? 'response_format' : `response_format.json_schema.schema${rest}`),
  messages: fieldOfMessage,
  prompt: 'messages',
  repeat_penalty: 'repetition_penalty',
  think: 'reasoning_effort',
  tool_choice: (rest) => `tool_choice${rest.replace(/^\.name/, '.function.name')}`,
  tools: (rest) => `tools${rest.replace(/^(\[\d+\])\./, '$1.function.')}`,
};

export function fieldOfMessage(rest: string): string {
  const named = rest.replace(/\.images$/, '.content.image_url');
  return `messages${named.replace(/(\.tool_calls\[\d+\])\.(name|arguments)/, '$1.function.$2')}`;
}

/** POST /v1/chat/completions. */

export const chatRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/chat/completions',
  fieldNames,
  describes: {
    summary: 'Chat',
    description:
      'As the OpenAI API has it. null counts as absent; fields that are not listed are passed on to backends that take them, ' +
      'and ignored by all others. With stream, `data: [DONE]` means success: a stream that fails ends with an error event and ' +
      'without it.',
    body: ChatBody,
    example: { messages: [{ role: 'user', content: 'What is the capital of France?' }], max_tokens: 32 },
    answers: { 'application/json': ChatCompletion, 'text/event-stream': ChatChunk },
  },
  parse: parseChat,
};
