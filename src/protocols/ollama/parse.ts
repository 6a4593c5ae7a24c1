/** The bodies of /api/chat and /api/generate become a GenerationRequest. */
import { unsupported } from '../../core/features.ts';
import type {
  GenerationInput,
  GenerationRequest,
  Limits,
  LogprobsOptions,
  Mirostat,
  OutputFormat,
  ReasoningEffort,
  Sampling,
} from '../../core/generation.ts';
import { nullableBodyReader, refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import type { FoundModel, ParseContext, ParsedGeneration } from '../protocol.ts';
import { withinCore } from '../sampling-fields.ts';
import { CHAT_FORMAT, GENERATE_FORMAT, timeOf } from './answer.ts';
import { parseConversation, parseImages, parseTools } from './conversation.ts';
import { findNamed } from './model-name.ts';
import { type AnswerStyle, LineEncoder, ollamaRenderer } from './render.ts';
import { ChatBody, GenerateBody } from './schema.ts';

const readChat = nullableBodyReader(ChatBody);
const readGenerate = nullableBodyReader(GenerateBody);

/** `max`, which the core does not tell apart, is high. */
function effortOf(think: NonNullable<ChatBody['think']>): ReasoningEffort {
  return think === 'max' ? 'high' : think;
}

export function parseChat(raw: unknown, { newRequestId, requireModel }: ParseContext): ParsedGeneration {
  const body = readChat(raw);
  const { model: name = '', messages = [], options = {}, think } = body;
  const model = findNamed(name, requireModel);
  const style = { format: CHAT_FORMAT, model: name || model.id };
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
    ...(think !== undefined && { thinking: effortOf(think) }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
  };
  return parsedGeneration(request, body, style);
}

function parsedGeneration(
  request: GenerationRequest,
  body: ChatBody | GenerateBody,
  style: AnswerStyle,
): ParsedGeneration {
  return {
    requests: [request],
    delivery: body.stream === false ? 'whole' : 'stream',
    timeoutMs: undefined,
    priority: undefined,
    ...droppedFields(body),
    renderer: ollamaRenderer(style, request),
  };
}

/** Fields that are rejected → what to do instead. */
const REJECTED_FIELDS = {
  suffix: 'Remove it.',
  template: 'The model has its own template. Remove it, or send the formatted prompt with raw.',
  context: 'Send the conversation so far as messages to /api/chat.',
} as const satisfies Partial<Record<keyof GenerateBody, string>>;

export function parseGenerate(raw: unknown, { newRequestId, requireModel }: ParseContext): ParsedGeneration {
  const body = readGenerate(raw);
  const { model: name = '', prompt = '', options = {}, think } = body;
  const model = findNamed(name, requireModel);
  const style = { format: GENERATE_FORMAT, model: name || model.id };
  for (const [field, advice] of Object.entries(REJECTED_FIELDS)) {
    if (body[field as keyof typeof REJECTED_FIELDS]?.length)
      throw unsupported(field, 'this server', { advice });
  }
  const output = parseOutput(body.format);
  const logprobs = parseLogprobs(body);
  if (prompt === '') return loadOnlyAnswer(style, body);
  const request: GenerationRequest = {
    id: newRequestId(),
    model: model.id,
    input: parseInput(prompt, body),
    sampling: parseSampling(options),
    limits: parseLimits(options, model),
    ...(think !== undefined && { thinking: effortOf(think) }),
    ...(output !== undefined && { output }),
    ...(logprobs !== undefined && { logprobs }),
  };
  return parsedGeneration(request, body, style);
}

function parseInput(prompt: string, { system = '', raw, images = [] }: GenerateBody): GenerationInput {
  if (!raw) {
    const parsed = parseImages(images, 'images');
    const user = { role: 'user', content: prompt, ...(parsed.length > 0 && { images: parsed }) } as const;
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
 * Without a prompt a request only loads the model, or (with keep_alive 0) unloads it. Here the configuration decides that, as
 * other clients use the model too: the answer is that of Ollama, in one body whatever `stream` is, and the model stays as it is.
 */
function loadOnlyAnswer(
  { format, model }: AnswerStyle,
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
        ...format.content({ text: '' }),
        done: true,
        done_reason: reason,
      }),
      stream: (answer) => new LineEncoder({ format, model, answer, withLogprobs: false }),
    },
  };
}

/** Zero seconds, in any unit that durations are written in. */
function asksToUnload(keepAlive: number | string | undefined): boolean {
  return keepAlive === 0 || /^[+-]?0+(\.0*)?(ns|us|µs|ms|s|m|h)?$/.test(String(keepAlive ?? ''));
}

/** What the configuration decides for all clients: with another value Ollama would load the model anew. */
const RUNNER_OPTIONS = [
  'num_ctx',
  'num_batch',
  'num_gpu',
  'main_gpu',
  'num_thread',
  'use_mmap',
  'draft_num_predict',
] as const;

/** Options that Ollama had before 0.5.5 and ignores since, with their default. */
const FORMER_OPTIONS: Readonly<Record<string, unknown>> = { tfs_z: 1, penalize_newline: true };

/** Fields that are accepted and have no effect, as X-Dropped-Parameters names them. */
export function droppedFields({
  keep_alive,
  options = {},
}: {
  readonly keep_alive?: number | string;
  readonly options?: Readonly<Record<string, unknown>>;
}): { dropped?: readonly string[] } {
  const former = Object.entries(FORMER_OPTIONS).flatMap(([name, usual]) =>
    options[name] === usual ? [] : name,
  );
  const dropped = [...RUNNER_OPTIONS, ...former].filter((name) => options[name] !== undefined);
  const fields = [
    ...(keep_alive === undefined ? [] : ['keep_alive']),
    ...dropped.map((name) => `options.${name}`),
  ];
  return fields.length === 0 ? {} : { dropped: fields };
}

type Options = NonNullable<ChatBody['options']>;

function parseSampling(options: Options): Sampling {
  const { temperature, top_p, top_k, min_p, seed } = options;
  const { repeat_penalty, repeat_last_n, presence_penalty, frequency_penalty, typical_p } = options;
  return withinCore({
    ...(temperature !== undefined && { temperature }),
    ...(top_p !== undefined && { topP: top_p }),
    ...(top_k !== undefined && { topK: Math.max(0, top_k) }),
    ...(min_p !== undefined && { minP: min_p }),
    ...(seed !== undefined && seed !== -1 && { seed }),
    ...(presence_penalty !== undefined && { presencePenalty: presence_penalty }),
    ...(frequency_penalty !== undefined && { frequencyPenalty: frequency_penalty }),
    ...(repeat_penalty !== undefined && { repeatPenalty: repeat_penalty }),
    ...(repeat_last_n !== undefined && { repeatLastN: repeat_last_n }),
    ...(typical_p !== undefined && { typicalP: typical_p }),
    ...parseMirostat(options),
  });
}

function parseMirostat({ mirostat: mode, mirostat_tau: tau, mirostat_eta: eta }: Options): {
  mirostat?: Mirostat;
} {
  const mirostat = {
    ...(mode !== undefined && { mode }),
    ...(tau !== undefined && { tau }),
    ...(eta !== undefined && { eta }),
  };
  return Object.keys(mirostat).length === 0 ? {} : { mirostat };
}

/** No number, 0 and below: there is no limit but the context. */
function parseLimits({ num_predict, num_keep, stop = [] }: Options, { contextSize }: FoundModel): Limits {
  const isLimit = num_predict !== undefined && num_predict > 0;
  return {
    ...(isLimit && { maxTokens: Math.min(num_predict, contextSize ?? num_predict) }),
    ...(num_keep !== undefined && { keepTokens: num_keep }),
    stop: typeof stop === 'string' ? [stop] : stop,
  };
}

function parseLogprobs(body: {
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
}): LogprobsOptions | undefined {
  return body.logprobs ? { top: body.top_logprobs ?? 0 } : undefined;
}

function parseOutput(format: object | string = ''): OutputFormat | undefined {
  if (format === '') return undefined;
  if (typeof format === 'string') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
