/** The bodies of /api/chat and /api/generate become a GenerationRequest. */
import { unsupported } from '../../core/features.ts';
import type {
  GenerationInput,
  GenerationRequest,
  Limits,
  LogprobsOptions,
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
  rejectUnsupportedOptions(options);
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
  rejectUnsupportedOptions(options);
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

/** Fields that are accepted and have no effect, as X-Dropped-Parameters names them. */
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

type Options = NonNullable<ChatBody['options']>;

/**
 * Options that no backend has, with the only value they may have: their default. `mirostat_tau` and `mirostat_eta` mean nothing
 * without mirostat, and `num_keep` nothing where a context is never shifted.
 */
const FIXED_OPTIONS: Readonly<Record<string, unknown>> = {
  repeat_last_n: 64,
  mirostat: 0,
  tfs_z: 1,
  typical_p: 1,
  penalize_newline: true,
};

function rejectUnsupportedOptions(options: Options): void {
  const given: Readonly<Record<string, unknown>> = options;
  for (const [name, usual] of Object.entries(FIXED_OPTIONS)) {
    if (given[name] === undefined || given[name] === usual) continue;
    throw unsupported(`options.${name}`, 'this server', { advice: `Remove it: it is always ${usual}.` });
  }
}

function parseSampling(options: Options): Sampling {
  const { temperature, top_p, top_k, min_p, seed } = options;
  const { repeat_penalty, presence_penalty, frequency_penalty } = options;
  return withinCore({
    ...(temperature !== undefined && { temperature }),
    ...(top_p !== undefined && { topP: top_p }),
    ...(top_k !== undefined && { topK: Math.max(0, top_k) }),
    ...(min_p !== undefined && { minP: min_p }),
    ...(seed !== undefined && seed !== -1 && { seed }),
    ...(presence_penalty !== undefined && { presencePenalty: presence_penalty }),
    ...(frequency_penalty !== undefined && { frequencyPenalty: frequency_penalty }),
    ...(repeat_penalty !== undefined && { repeatPenalty: repeat_penalty }),
  });
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

function parseOutput(format: object | string = ''): OutputFormat | undefined {
  if (format === '') return undefined;
  if (typeof format === 'string') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}
