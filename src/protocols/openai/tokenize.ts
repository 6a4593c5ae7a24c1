/** POST /tokenize and /detokenize, as vLLM has them: the model's own vocabulary, without a slot. */
import { type Static, Type } from 'typebox';
import type { TokenizeRequest } from '../../core/backend.ts';
import type { ModelId } from '../../core/generation.ts';
import { nullableBodyReader } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import type { QueryContext, QueryRoute } from '../protocol.ts';
import { messageField, parseConversation } from './chat/conversation.ts';
import { messages, tools } from './chat/schema.ts';
import { parseTools } from './chat/tools.ts';
import { unsupported } from './errors.ts';
import { model } from './request-fields.ts';

/** Each is a question of its own to the backend. */
const MAX_TOKEN_STRINGS = 4096;
const MAX_CONCURRENT_LOOKUPS = 32;

const token = Type.Integer({ minimum: 0 });

const TokenizeBody = Type.Object({
  model,
  prompt: Type.Optional(Type.String({ description: 'A text. Exactly one of prompt and messages.' })),
  messages: Type.Optional(messages),
  tools,
  add_special_tokens: Type.Optional(
    Type.Boolean({
      description:
        'With prompt: whether tokens that begin a text are added, default true. Chat templates decide for themselves.',
    }),
  ),
  add_generation_prompt: Type.Optional(
    Type.Boolean({ description: 'Only true: what is counted is the prompt of an answer.' }),
  ),
  chat_template_kwargs: Type.Optional(
    Type.Object(
      { enable_thinking: Type.Optional(Type.Boolean()) },
      { description: 'With messages: whether the template has the model think. Others are ignored.' },
    ),
  ),
  return_token_strs: Type.Optional(
    Type.Boolean({ description: `The text of each token too, of at most ${MAX_TOKEN_STRINGS}.` }),
  ),
});

type TokenizeBody = Static<typeof TokenizeBody>;

const TokenizeAnswer = Type.Object({
  count: Type.Integer({ minimum: 0 }),
  max_model_len: Type.Union([Type.Integer(), Type.Null()], {
    description: 'Tokens of the context; null where it is not known.',
  }),
  tokens: Type.Array(token),
  token_strs: Type.Union([Type.Array(Type.String()), Type.Null()]),
});

const readTokenize = nullableBodyReader(TokenizeBody);

export const tokenizeRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/tokenize',
  limited: true,
  fieldNames: { messages: messageField },
  describes: {
    summary: 'Count and show tokens',
    description:
      'Of a text, or of a chat as its template writes it. As vLLM has it; for backends that count tokens.',
    body: {
      schema: TokenizeBody,
      oneOf: ['prompt', 'messages'],
      examples: { 'A text': { prompt: 'Once upon a time' } },
    },
    answers: { 'application/json': TokenizeAnswer },
  },
  answer: async ({ body: raw }, context): Promise<Static<typeof TokenizeAnswer>> => {
    const body = readTokenize(raw);
    const request = parseTokenize(body);
    const { id, contextSize } = context.requireModel(body.model);
    const tokens = await context.tokenize(id, request);
    return {
      count: tokens.length,
      max_model_len: contextSize ?? null,
      tokens: [...tokens],
      token_strs: body.return_token_strs ? await tokenStrings(id, tokens, context) : null,
    };
  },
};

function parseTokenize(body: TokenizeBody): TokenizeRequest {
  const { prompt, messages: chat, add_special_tokens: addSpecial, add_generation_prompt } = body;
  if (add_generation_prompt === false)
    throw unsupported('add_generation_prompt', 'is false, which is not supported. Remove it.');
  if (prompt !== undefined && chat !== undefined)
    throw invalid('messages', 'messages and prompt are both given, but exactly one of them is allowed.');
  if (chat !== undefined) {
    const used = parseTools(body);
    const thinking = body.chat_template_kwargs?.enable_thinking;
    return {
      input: { kind: 'chat', messages: parseConversation(chat) },
      ...(used !== undefined && { tools: used }),
      ...(thinking !== undefined && { thinking }),
    };
  }
  if (prompt === undefined)
    throw invalid('prompt', 'prompt is missing. Give prompt (a string) or messages (a list).');
  return { input: { kind: 'text', prompt }, ...(addSpecial !== undefined && { addSpecial }) };
}

async function tokenStrings(
  id: ModelId,
  tokens: readonly number[],
  context: QueryContext,
): Promise<string[]> {
  if (tokens.length > MAX_TOKEN_STRINGS)
    throw invalid(
      'return_token_strs',
      `return_token_strs is true, but the text has ${tokens.length} tokens: it is only allowed for at most ${MAX_TOKEN_STRINGS}.`,
    );
  const texts: string[] = [];
  for (let start = 0; start < tokens.length; start += MAX_CONCURRENT_LOOKUPS) {
    const some = tokens.slice(start, start + MAX_CONCURRENT_LOOKUPS);
    texts.push(...(await Promise.all(some.map((one) => context.detokenize(id, [one])))));
  }
  return texts;
}

const DetokenizeBody = Type.Object({ model, tokens: Type.Array(token) });
const DetokenizeAnswer = Type.Object({ prompt: Type.String() });

const readDetokenize = nullableBodyReader(DetokenizeBody);

export const detokenizeRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/detokenize',
  limited: true,
  describes: {
    summary: 'Text of tokens',
    description: 'As vLLM has it; for backends that count tokens.',
    body: { schema: DetokenizeBody, examples: { 'Three tokens': { tokens: [1, 2, 3] } } },
    answers: { 'application/json': DetokenizeAnswer },
  },
  answer: async ({ body: raw }, context): Promise<Static<typeof DetokenizeAnswer>> => {
    const body = readDetokenize(raw);
    const { id } = context.requireModel(body.model);
    return { prompt: await context.detokenize(id, body.tokens) };
  },
};
