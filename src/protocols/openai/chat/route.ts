/** POST /v1/chat/completions: a body becomes one GenerationRequest for each choice. */
import { OUTPUT_EXTRAS } from '../../../core/features.ts';
import type { GenerationInput, GenerationRequest, LogprobsOptions } from '../../../core/generation.ts';
import { extrasOf, nullableBodyReader } from '../../body-reader.ts';
import { CITY_SCHEMA, QUESTION } from '../../examples.ts';
import { invalid } from '../../field-errors.ts';
import type { FieldNames, GenerationRoute, ParseContext, ParsedGeneration } from '../../protocol.ts';
import { unsupported } from '../errors.ts';
import {
  END_USER_FIELDS,
  parseDelivery,
  parseLimits,
  parseSampling,
  rejectUnanswerable,
  requestPerChoice,
} from '../request-fields.ts';
import { parseStructuredOutput } from '../structured-output.ts';
import { messageField, parseConversation } from './conversation.ts';
import { ChatChunk, ChatCompletion, chatRenderer } from './render.ts';
import { ChatBody } from './schema.ts';
import { parseThinking, THINKING_FIELDS } from './thinking.ts';
import { parseTools } from './tools.ts';

/** What native fields are called in a chat's body. */
export const fieldNames: FieldNames = {
  format: (rest) => (rest === '' ? 'response_format' : `response_format.json_schema.schema${rest}`),
  messages: messageField,
  prompt: 'messages',
  repeat_penalty: 'repetition_penalty',
  think: 'reasoning_effort',
  tool_choice: (rest) => `tool_choice${rest.replace(/^\.name/, '.function.name')}`,
  tools: (rest) => `tools${rest.replace(/^(\[\d+\])\./, '$1.function.')}`,
};

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
    body: {
      schema: ChatBody,
      examples: {
        'A question': { messages: [{ role: 'user', content: QUESTION }], max_tokens: 32 },
        'Structured output': {
          messages: [{ role: 'user', content: QUESTION }],
          response_format: { type: 'json_schema', json_schema: { name: 'city', schema: CITY_SCHEMA } },
          max_tokens: 64,
        },
        'A tool call': {
          messages: [{ role: 'user', content: 'How warm is it in Paris?' }],
          tools: [
            {
              type: 'function',
              function: {
                name: 'get_weather',
                description: 'The weather of a city.',
                parameters: CITY_SCHEMA,
              },
            },
          ],
          tool_choice: 'required',
          max_tokens: 64,
        },
      },
    },
    answers: { 'application/json': ChatCompletion, 'text/event-stream': ChatChunk },
  },
  parse: parseChat,
};

const readBody = nullableBodyReader(ChatBody);

/** Read here, and also passed by the same name to servers that have it. */
const PASSED_ON = [...OUTPUT_EXTRAS, ...END_USER_FIELDS, ...THINKING_FIELDS, 'add_generation_prompt'];

function parseChat(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = readBody(raw);
  rejectFields(body);
  rejectUnanswerable(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const input = parseInput(body);
  const tools = parseTools(body);
  const { output, fieldNames } = parseStructuredOutput(body);
  const thinking = parseThinking(body);
  const logprobs = parseLogprobs(body);
  const extras = extrasOf(body, ChatBody, PASSED_ON);
  const { id: model, contextSize } = context.requireModel(body.model);
  const request: Omit<GenerationRequest, 'id'> = {
    model,
    input,
    sampling: parseSampling(body),
    limits: parseLimits(body, { maxTokens: body.max_completion_tokens ?? body.max_tokens, contextSize }),
    ...(thinking !== undefined && { thinking: thinking.effort }),
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
    renderer: chatRenderer(requests, includeUsage),
    fieldNames: { ...fieldNames, ...thinking?.fieldNames },
  };
}

/** Rejected where they are given at all: what to do instead. */
const REJECTED_FIELDS = {
  functions: 'Use tools instead.',
  function_call: 'Use tool_choice instead.',
  audio: 'Ask for text.',
  web_search_options: 'Offer a search tool of your own.',
} as const satisfies Partial<Record<keyof ChatBody, string>>;

const REJECTED = Object.keys(REJECTED_FIELDS) as (keyof typeof REJECTED_FIELDS)[];

function rejectFields(body: ChatBody): void {
  for (const field of REJECTED) {
    if (body[field] !== undefined) throw unsupported(field, `is not supported. ${REJECTED_FIELDS[field]}`);
  }
  const other = body.modalities?.findIndex((modality) => modality !== 'text') ?? -1;
  if (other !== -1)
    throw unsupported(`modalities[${other}]`, 'is not supported. Ask for ["text"], or remove modalities.');
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
    throw invalid(field, `${field} is only allowed where the last message has role "assistant".`);
  return { kind: 'chat', messages, continuesLast: true };
}

function parseLogprobs({ logprobs, top_logprobs }: ChatBody): LogprobsOptions | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  // Some clients always send a 0.
  if (top_logprobs !== undefined && top_logprobs > 0)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}
