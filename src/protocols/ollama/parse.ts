/** `options` become sampling and limits. What would change the answer and cannot be had is refused, unless it asks for what is anyway. */

import { type Static, Type } from 'typebox';
import { unsupported } from '../../core/features.ts';
import type {
  GenerationInput,
  GenerationRequest,
  Limits,
  LogprobsOptions,
  OutputFormat,
  Sampling,
} from '../../core/generation.ts';
import { nullableBodyReader, refuseDeepNesting } from '../body-reader.ts';
import { CITY_SCHEMA, QUESTION } from '../examples.ts';
import { invalid } from '../field-errors.ts';
import type { FieldNames, FoundModel, GenerationRoute, ParseContext, ParsedGeneration } from '../protocol.ts';
import { CHAT_ANSWERS, CHAT_FORMAT, GENERATE_ANSWERS, GENERATE_FORMAT, timeOf } from './answer.ts';
import {
  imageList,
  messageList,
  parseConversation,
  parseImages,
  parseTools,
  toolList,
} from './conversation.ts';
import { findNamed } from './model-name.ts';
import { type AnswerStyle, LineEncoder, ollamaRenderer } from './render.ts';
import { generationFields, type Options } from './schema.ts';

/** Native field → what it is called here. */
const OPTION_NAMES: FieldNames = {
  temperature: 'options.temperature',
  top_p: 'options.top_p',
  top_k: 'options.top_k',
  min_p: 'options.min_p',
  seed: 'options.seed',
  presence_penalty: 'options.presence_penalty',
  frequency_penalty: 'options.frequency_penalty',
  repeat_penalty: 'options.repeat_penalty',
  stop: 'options.stop',
  max_tokens: 'options.num_predict',
};

/**
 * What these are when nobody says it. `mirostat_tau` and `mirostat_eta` mean nothing without mirostat, and `num_keep` nothing
 * where a context is never shifted.
 */
const DEFAULTS: Readonly<Record<string, unknown>> = {
  repeat_last_n: 64,
  mirostat: 0,
  tfs_z: 1,
  typical_p: 1,
  penalize_newline: true,
};

/** `num_ctx` is no such thing: the context is as configured, and a prompt that does not fit is refused whatever was asked for. */
function refuseUnsupportedOptions(options: Options): void {
  const given: Readonly<Record<string, unknown>> = options;
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (given[name] === undefined || given[name] === usual) continue;
    throw unsupported(`options.${name}`, 'this server', { advice: `Leave it away: it is always ${usual}.` });
  }
}

/** What a client may say and changes nothing, as X-Dropped-Parameters names it. */
export function droppedFields({
  keep_alive,
  options = {},
}: {
  readonly keep_alive?: number | string;
  readonly options?: { readonly num_ctx?: number };
}): { dropped?: readonly string[] } {
  const dropped = [
    ...(keep_alive === undefined ? [] : ['keep_alive']),
    ...(options.num_ctx === undefined ? [] : ['options.num_ctx']),
  ];
  return dropped.length === 0 ? {} : { dropped };
}

/** Zero seconds, in any unit that durations are written in. */
function asksToUnload(keepAlive: number | string | undefined): boolean {
  return keepAlive === 0 || /^[+-]?0+(\.0*)?(ns|us|µs|ms|s|m|h)?$/.test(String(keepAlive ?? ''));
}

function parseSampling(options: Options): Sampling {
  const { temperature, top_p, top_k, min_p, seed } = options;
  const { repeat_penalty, presence_penalty, frequency_penalty } = options;
  return {
    ...(temperature !== undefined && { temperature }),
    ...(top_p !== undefined && { topP: top_p }),
    ...(top_k !== undefined && { topK: Math.max(0, top_k) }),
    ...(min_p !== undefined && { minP: min_p }),
    ...(seed !== undefined && seed >= 0 && { seed }),
    ...(presence_penalty !== undefined && { presencePenalty: presence_penalty }),
    ...(frequency_penalty !== undefined && { frequencyPenalty: frequency_penalty }),
    ...(repeat_penalty !== undefined && { repeatPenalty: repeat_penalty }),
  };
}

/** No number, 0 and below: there is no limit but the context. */
function parseLimits({ num_predict, stop = [] }: Options, { contextSize }: FoundModel): Limits {
  const isLimit = num_predict !== undefined && num_predict > 0;
  return {
    ...(isLimit && { maxTokens: Math.min(num_predict, contextSize ?? num_predict) }),
    stop: typeof stop === 'string' ? [stop] : stop,
  };
}

function parseLogprobs(body: {
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
}): LogprobsOptions | undefined {
  return body.logprobs ? { top: body.top_logprobs ?? 0 } : undefined;
}

/** `format` becomes the core's OutputFormat. */

function parseOutput(format: object | string = ''): OutputFormat | undefined {
  if (format === '') return undefined;
  if (typeof format === 'string') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}

/** POST /api/chat: a conversation, its next message in lines or whole. */

const ChatBody = Type.Object({
  ...generationFields,
  messages: Type.Optional(messageList),
  tools: Type.Optional(toolList),
});

const readChat = nullableBodyReader(ChatBody);

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

function parseChat(raw: unknown, { newRequestId, requireModel }: ParseContext): ParsedGeneration {
  const body = readChat(raw);
  const { model: name = '', messages = [], options = {}, think } = body;
  const model = findNamed(name, requireModel);
  const style = { form: CHAT_FORMAT, model: name || model.id };
  refuseUnsupportedOptions(options);
  const tools = parseTools(body.tools);
  const output = parseOutput(body.format);
  const logprobs = parseLogprobs(body);
  if (messages.length === 0) return loadOnlyAnswer(style, body);
  const request: GenerationRequest = {
    id: newRequestId(),
    model: model.id,
    input: { kind: 'chat', messages: parseConversation(messages) },
    sampling: parseSampling(options),
    limits: parseLimits(options, model),
    ...(think !== undefined && { thinking: think }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
  };
  return {
    requests: [request],
    delivery: body.stream === false ? 'whole' : 'stream',
    timeoutMs: undefined,
    priority: undefined,
    ...droppedFields(body),
    renderer: ollamaRenderer(style, request),
  };
}

/** POST /api/generate: one prompt, its answer in lines or whole. */

const GenerateBody = Type.Object({
  ...generationFields,
  prompt: Type.Optional(
    Type.String({ description: 'One user message. Without it the answer says that the model is there.' }),
  ),
  system: Type.Optional(Type.String({ description: 'System message in front of the prompt; not with raw.' })),
  raw: Type.Optional(
    Type.Boolean({
      description: 'The prompt goes to the model as it is: no chat template, special tokens are parsed.',
    }),
  ),
  images: Type.Optional(imageList),
  suffix: Type.Optional(Type.String({ description: 'Refused unless empty.' })),
  template: Type.Optional(Type.String({ description: 'Refused unless empty: the model has its own.' })),
  context: Type.Optional(
    Type.Array(Type.Number(), {
      description: 'Refused unless empty: answers here have none. Send the conversation to /api/chat.',
    }),
  ),
});

type GenerateBody = Static<typeof GenerateBody>;

const readGenerate = nullableBodyReader(GenerateBody);

/** What cannot be had → what to do instead. */
const REFUSED = {
  suffix: 'Leave it away.',
  template: 'The model has its own template: leave it away, or send the prompt as it is to be, with raw.',
  context: 'Send the conversation so far as messages to /api/chat.',
} as const satisfies Partial<Record<keyof GenerateBody, string>>;

/** Of the one message that the pictures are part of. */
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

function parseGenerate(raw: unknown, { newRequestId, requireModel }: ParseContext): ParsedGeneration {
  const body = readGenerate(raw);
  const { model: name = '', prompt = '', options = {}, think } = body;
  const model = findNamed(name, requireModel);
  const style = { form: GENERATE_FORMAT, model: name || model.id };
  for (const [field, advice] of Object.entries(REFUSED)) {
    if (body[field as keyof typeof REFUSED]?.length) throw unsupported(field, 'this server', { advice });
  }
  refuseUnsupportedOptions(options);
  const output = parseOutput(body.format);
  const logprobs = parseLogprobs(body);
  if (prompt === '') return loadOnlyAnswer(style, body);
  const request: GenerationRequest = {
    id: newRequestId(),
    model: model.id,
    input: parseInput(prompt, body),
    sampling: parseSampling(options),
    limits: parseLimits(options, model),
    ...(think !== undefined && { thinking: think }),
    ...(output !== undefined && { output }),
    ...(logprobs !== undefined && { logprobs }),
  };
  return {
    requests: [request],
    delivery: body.stream === false ? 'whole' : 'stream',
    timeoutMs: undefined,
    priority: undefined,
    ...droppedFields(body),
    renderer: ollamaRenderer(style, request),
  };
}

function parseInput(prompt: string, { system = '', raw, images = [] }: GenerateBody): GenerationInput {
  if (!raw) {
    const pictures = parseImages(images, 'images');
    const user = { role: 'user', content: prompt, ...(pictures.length > 0 && { images: pictures }) } as const;
    return {
      kind: 'chat',
      messages: system === '' ? [user] : [{ role: 'system', content: system }, user],
    };
  }
  const misplaced = system !== '' ? 'system' : images.length > 0 ? 'images' : undefined;
  if (misplaced === undefined) return { kind: 'text', prompt };
  throw invalid(
    misplaced,
    `${misplaced} is not allowed with raw: a raw prompt has no chat template to put it into.`,
  );
}

/**
 * Without a prompt a request only asks for the model to be loaded, or (with keep_alive 0) not to be. Both are the
 * configuration's business, as others use the model too: the answer is Ollama's own, in one body whatever `stream` says, and
 * nothing is loaded or unloaded for it. Clients that free memory this way go on without an error.
 */
function loadOnlyAnswer(
  { form, model }: AnswerStyle,
  body: Parameters<typeof droppedFields>[0],
): ParsedGeneration {
  const reason = asksToUnload(body.keep_alive) ? 'unload' : 'load';
  return {
    requests: [],
    ...droppedFields(body),
    delivery: 'whole',
    timeoutMs: undefined,
    priority: undefined,
    renderer: {
      whole: (_, { createdAt }) => ({
        model,
        created_at: timeOf(createdAt),
        ...form.content({ text: '' }),
        done: true,
        done_reason: reason,
      }),
      stream: (answer) => new LineEncoder({ form, model, answer, withLogprobs: false }),
    },
  };
}
