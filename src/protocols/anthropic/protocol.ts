/** The Anthropic API: its routes. Null counts as absent, unknown fields are ignored. */
import { type Static, Type } from 'typebox';
import { CITY_SCHEMA, QUESTION } from '../examples.ts';
import type { FieldNames, GenerationRoute, Protocol, QueryRoute } from '../protocol.ts';
import { MessageAnswer, MessageEvent } from './answer.ts';
import { anthropicErrors } from './errors.ts';
import { anthropicLimitHeaders } from './limit-headers.ts';
import { parseCount, parseMessages } from './parse.ts';
import { CountBody, MessagesBody } from './schema.ts';

/** Native field → its name here. Messages have other indexes here, so a field of one is named by its kind. */
export const fieldNames: FieldNames = {
  stop: 'stop_sequences',
  think: 'thinking',
  format: 'output_config.format.schema',
  parallel_tool_calls: 'tool_choice.disable_parallel_tool_use',
  prompt: 'messages',
  continue_final_message: 'messages: an assistant message at the end',
  tools: (rest) => `tools${rest.replace(/^(\[\d+\])\.parameters/, '$1.input_schema')}`,
  messages: (rest) => {
    if (rest.endsWith('.images')) return 'messages: an image';
    if (rest.endsWith('.tool_calls')) return 'messages: a tool_use';
    return rest.endsWith('.role') ? 'messages: a tool_result' : 'messages';
  },
};

export const messagesRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/messages',
  fieldNames,
  describes: {
    summary: 'Create a message',
    description:
      'As the Anthropic API has it. With "stream": true server-sent events; message_stop means success: a stream that ' +
      'fails ends with an error event and without it.',
    body: {
      schema: MessagesBody,
      examples: {
        'A question': { max_tokens: 32, messages: [{ role: 'user', content: QUESTION }] },
        'Structured output': {
          max_tokens: 64,
          messages: [{ role: 'user', content: QUESTION }],
          output_config: { format: { type: 'json_schema', schema: CITY_SCHEMA } },
        },
        'A tool call': {
          max_tokens: 64,
          messages: [{ role: 'user', content: 'How warm is it in Paris?' }],
          tools: [{ name: 'get_weather', description: 'The weather of a city.', input_schema: CITY_SCHEMA }],
          tool_choice: { type: 'any' },
        },
      },
    },
    answers: { 'application/json': MessageAnswer, 'text/event-stream': MessageEvent },
  },
  parse: parseMessages,
};

const Count = Type.Object({ input_tokens: Type.Integer({ minimum: 0 }) });

export const countTokensRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/v1/messages/count_tokens',
  limited: true,
  fieldNames,
  describes: {
    summary: 'Count the tokens of a message’s prompt',
    description:
      'Counted with the model’s own vocabulary and chat template; rejected where its backend does not tokenize.',
    body: {
      schema: CountBody,
      examples: { 'A question': { messages: [{ role: 'user', content: QUESTION }] } },
    },
    answers: { 'application/json': Count },
  },
  answer: async ({ body }, context): Promise<Static<typeof Count>> => {
    const { model, input, tools, thinking } = parseCount(body);
    const { id } = context.requireModel(model);
    const tokens = await context.tokenize(id, {
      input,
      ...(tools !== undefined && { tools }),
      ...(thinking !== undefined && { thinking }),
    });
    return { input_tokens: tokens.length };
  },
};

export const anthropic: Protocol = {
  name: 'anthropic',
  routes: [messagesRoute, countTokensRoute],
  pathPrefixes: ['/v1/messages'],
  bodyLimit: 'media',
  contentTypes: 'json',
  errors: anthropicErrors,
  requestIdHeader: 'request-id',
  limitHeaders: anthropicLimitHeaders,
};
