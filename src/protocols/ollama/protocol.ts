/** Ollama's API: its routes. Null counts as absent, unknown fields are ignored, bodies need no content type. */
import { type Static, Type } from 'typebox';
import { CITY_SCHEMA, QUESTION } from '../examples.ts';
import type { FieldNames, GenerationRoute, Protocol, QueryRoute } from '../protocol.ts';
import { CHAT_ANSWERS, GENERATE_ANSWERS, ollamaErrors } from './answer.ts';
import { embeddingsRoute, embedRoute } from './embed.ts';
import { runningRoute, showRoute, tagsRoute } from './models.ts';
import { parseChat, parseGenerate } from './parse.ts';
import { pullRoute } from './pull.ts';
import { ChatBody, GenerateBody } from './schema.ts';

/** Native field → its name here. */
const OPTION_NAMES: FieldNames = {
  temperature: 'options.temperature',
  top_p: 'options.top_p',
  top_k: 'options.top_k',
  min_p: 'options.min_p',
  seed: 'options.seed',
  presence_penalty: 'options.presence_penalty',
  frequency_penalty: 'options.frequency_penalty',
  repeat_penalty: 'options.repeat_penalty',
  repeat_last_n: 'options.repeat_last_n',
  typical_p: 'options.typical_p',
  mirostat: 'options.mirostat',
  num_keep: 'options.num_keep',
  stop: 'options.stop',
  max_tokens: 'options.num_predict',
};

export const chatRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/api/chat',
  fieldNames: OPTION_NAMES,
  describes: {
    summary: 'Chat, as Ollama does it',
    description:
      'In lines of JSON, the last with done: true, unless stream is false. A stream that fails ends with a line {"error": …} ' +
      'and without done: true. A prompt that does not fit is a 400, never cut (truncate), and an answer that outgrows the context ' +
      'ends with done_reason length (shift).',
    body: {
      schema: ChatBody,
      examples: {
        'A question': {
          messages: [{ role: 'user', content: QUESTION }],
          stream: false,
          options: { num_predict: 32 },
        },
        'Structured output': {
          messages: [{ role: 'user', content: QUESTION }],
          stream: false,
          format: CITY_SCHEMA,
          options: { num_predict: 64 },
        },
      },
    },
    answers: CHAT_ANSWERS,
  },
  parse: parseChat,
};

/** The prompt and its images are one message. */
const MESSAGE_NAMES: FieldNames = {
  messages: (rest) => (rest.endsWith('.images') ? 'images' : 'prompt'),
};

export const generateRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/api/generate',
  fieldNames: { ...OPTION_NAMES, ...MESSAGE_NAMES },
  describes: {
    summary: 'Generate, as Ollama does it',
    description:
      'In lines of JSON, the last with done: true, unless stream is false. A stream that fails ends with a line {"error": …} ' +
      'and without done: true. A prompt that does not fit is a 400, never cut (truncate), and an answer that outgrows the context ' +
      'ends with done_reason length (shift). Answers have no context.',
    body: {
      schema: GenerateBody,
      examples: {
        'A question': { prompt: QUESTION, stream: false, options: { num_predict: 32 } },
        'Structured output': {
          prompt: QUESTION,
          stream: false,
          format: CITY_SCHEMA,
          options: { num_predict: 64 },
        },
      },
    },
    answers: GENERATE_ANSWERS,
  },
  parse: parseGenerate,
};

/** The release whose API this protocol follows: clients compare it with the release that they need. */
const API_RELEASE = '0.17.4';

const VersionAnswer = Type.Object({
  version: Type.String({ description: 'The release of Ollama whose API this is.' }),
  server: Type.Object({ name: Type.String(), version: Type.String() }, { description: 'This server.' }),
});

export const versionRoute: QueryRoute = {
  kind: 'query',
  method: 'GET',
  path: '/api/version',
  limited: false,
  describes: {
    summary: 'The version of Ollama’s API',
    description: 'GET /health has the version of this server.',
    answers: { 'application/json': VersionAnswer },
  },
  answer: (_, { version }): Static<typeof VersionAnswer> => ({
    version: API_RELEASE,
    server: { name: 'llm-serve', version },
  }),
};

export const ollama: Protocol = {
  name: 'ollama',
  routes: [
    generateRoute,
    chatRoute,
    embedRoute,
    embeddingsRoute,
    tagsRoute,
    runningRoute,
    showRoute,
    pullRoute,
    versionRoute,
  ],
  pathPrefixes: ['/api/'],
  bodyLimit: 'media',
  contentTypes: 'any',
  errors: ollamaErrors,
};
