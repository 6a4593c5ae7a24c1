/**
 * Request bodies in the OpenAI API and one dialect, and how a rejected one is tried again. Pure. What a dialect does not know is
 * rejected by name, never dropped. Thinking is mentioned only if the request does. `n` is never sent: one answer each.
 */
import type { EmbeddingRequest } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { asksNotToThink, type Feature, refuseUnsupported, unsupported } from '../../core/features.ts';
import type { GenerationRequest, Limits, OutputFormat, Sampling } from '../../core/generation.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';
import { isForced, toolFields, wireMessages } from './chat-fields.ts';
import { type Dialect, passedFields, setsOutputFormat } from './dialect.ts';
import {
  contextErrorOf,
  promptMayFit,
  rejectsEffort,
  rejectsStrictTools,
  rejectsTemplateSwitch,
  roomLeft,
  wantsNewerLimit,
} from './errors.ts';

export const EMBEDDINGS_PATH = '/v1/embeddings';

export interface BodyOptions {
  readonly model: string;
  readonly dialect: Dialect;
  /** Names of fields that are passed on unchanged. */
  readonly passed: ReadonlySet<string>;
  /** By the dialect, and by fields that are passed on. */
  readonly supports: readonly Feature[];
  /** Undefined: as many as the context leaves. */
  readonly maxTokens: number | undefined;
  /** Reasoning models of the OpenAI service reject the older name. */
  readonly maxTokensName: 'max_tokens' | 'max_completion_tokens';
  readonly contextSize: number | undefined;
  /** Tokens in the model's vocabulary, if reported. */
  readonly vocabularySize: number | undefined;
  /** False once the server has reported that its chat template takes no switch. */
  readonly templateSwitch: boolean;
  /** False once the server has rejected `reasoning_effort: "none"`. */
  readonly effortNone: boolean;
  /** False once the server has rejected the strict schema of a forced call. */
  readonly strictTools: boolean;
  /** The answer comes in one piece. */
  readonly whole: boolean;
  /** A stream begins with the prompt's length, if the server can report it that early. */
  readonly promptTokensFirst: boolean;
}

interface OpenAiCall {
  readonly path: '/v1/chat/completions' | '/v1/completions';
  readonly body: Readonly<Record<string, unknown>>;
}

type Fields = Readonly<Record<string, unknown>>;

/** Servers accept the one only without the other. */
export const CONTINUES_LAST = { add_generation_prompt: false, continue_final_message: true } as const;

export function generateCall(request: GenerationRequest, options: BodyOptions): OpenAiCall {
  const { input, sampling, limits } = request;
  const { dialect } = options;
  const passed = passedFields(request, options.passed);
  const output = setsOutputFormat(passed, dialect.flavor) ? undefined : request.output;
  refuseUnsupported(output === undefined ? withoutOutput(request) : request, {
    backend: 'openai-compatible',
    supports: options.supports,
    passes: options.passed,
  });
  // Not a spread: what follows one in a literal costs a microsecond each on Node 20 (decision 0036).
  const shared = Object.assign(
    {},
    passed,
    { model: options.model },
    deliveryFields(options),
    samplingFields(sampling, dialect),
    biasFields(sampling, options.vocabularySize),
    limitFields(limits, dialect),
    logprobFields(request, dialect),
  );
  if (input.kind === 'chat') {
    const body = Object.assign(
      shared,
      options.maxTokens === undefined ? undefined : { [options.maxTokensName]: options.maxTokens },
      thinkingFields(request, options, passed.chat_template_kwargs),
      chatOutputFields(output, dialect),
      toolFields(request.tools, dialect, { strict: options.strictTools }),
      { messages: wireMessages(input.messages, dialect) },
      input.continuesLast && CONTINUES_LAST,
    );
    return { path: '/v1/chat/completions', body };
  }
  if (request.thinking) {
    throw unsupported('think', 'this model together with a raw prompt, which has no chat template', {
      advice: 'Remove one of the two.',
    });
  }
  const body = Object.assign(shared, completionLimit(options), promptOutputFields(output, dialect), {
    prompt: input.kind === 'tokens' ? input.tokens : input.prompt,
  });
  return { path: '/v1/completions', body };
}

/** The client's own field, which is passed on, counts. */
function withoutOutput(request: GenerationRequest): GenerationRequest {
  if (request.output === undefined) return request;
  const { output: _, ...others } = request;
  return others;
}

/** Before the end, vLLM reports the prompt's length only in the usage of every chunk, llama-server as progress. */
function deliveryFields({ whole, promptTokensFirst, dialect: { promptTokensFrom } }: BodyOptions): Fields {
  if (whole) return { stream: false };
  const inEachChunk = promptTokensFirst && promptTokensFrom === 'usage' && { continuous_usage_stats: true };
  return {
    stream: true,
    stream_options: { include_usage: true, ...inEachChunk },
    ...(promptTokensFirst && promptTokensFrom === 'progress' && { return_progress: true }),
  };
}

/** Many servers default to 16 tokens in `/v1/completions`: all that the context leaves must be requested. */
function completionLimit({ maxTokens, contextSize, dialect }: BodyOptions): Fields {
  if (maxTokens !== undefined) return { max_tokens: maxTokens };
  if (dialect.nullMeansRest) return { max_tokens: null };
  if (dialect.flavor === 'generic' && contextSize !== undefined) return { max_tokens: contextSize };
  return {};
}

function limitFields(
  { stop, stopTokens, minTokens, ignoreEos, keepTokens }: Limits,
  dialect: Dialect,
): Fields {
  return {
    ...(stop.length > 0 && { stop }),
    ...(stopTokens !== undefined && { stop_token_ids: stopTokens }),
    ...(minTokens !== undefined && { min_tokens: minTokens }),
    ...(ignoreEos && { ignore_eos: true }),
    ...(keepTokens !== undefined && dialect.keepTokens && { [dialect.keepTokens]: keepTokens }),
  };
}

/** What the dialect has no name for was rejected before. */
function samplingFields(sampling: Sampling, dialect: Dialect): Fields {
  const fields: Record<string, number> = {};
  const set = (name: string | undefined, value: number | undefined) => {
    if (name !== undefined && value !== undefined) fields[name] = value;
  };
  set('temperature', sampling.temperature);
  set('top_p', sampling.topP);
  set('seed', sampling.seed);
  set('presence_penalty', sampling.presencePenalty);
  set('frequency_penalty', sampling.frequencyPenalty);
  set(dialect.topK, sampling.topK);
  set(dialect.minP, sampling.minP);
  set(dialect.repeatPenalty, sampling.repeatPenalty);
  set(dialect.repeatLastN, sampling.repeatLastN);
  set(dialect.typicalP, sampling.typicalP);
  set(dialect.mirostat?.mode, sampling.mirostat?.mode);
  set(dialect.mirostat?.tau, sampling.mirostat?.tau);
  set(dialect.mirostat?.eta, sampling.mirostat?.eta);
  return sampling.badWords === undefined ? fields : { ...fields, bad_words: sampling.badWords };
}

function logprobFields(
  { logprobs, tools, input }: Pick<GenerationRequest, 'logprobs' | 'tools' | 'input'>,
  { logprobs: { withTools, minTop, promptField } }: Pick<Dialect, 'logprobs'>,
): Readonly<Record<string, unknown>> {
  if (logprobs === undefined) return {};
  if (tools !== undefined && !withTools)
    throw unsupported('logprobs', 'this model’s server together with tools', {
      advice: 'Remove one of the two.',
    });
  const top = Math.max(minTop, logprobs.top);
  if (input.kind !== 'chat') return { [promptField]: top };
  return { logprobs: true, top_logprobs: top };
}

/** Some servers silently drop a token that the model does not have. */
function biasFields({ logitBias }: Sampling, vocabularySize = Number.POSITIVE_INFINITY): Fields {
  if (logitBias === undefined) return {};
  const unknown = logitBias.find(({ token }) => token >= vocabularySize);
  if (unknown !== undefined) {
    throw new ServingError('invalid_request', {
      message: `logit_bias contains the token ${unknown.token}, but the model’s tokens are 0 to ${vocabularySize - 1}.`,
      param: 'logit_bias',
    });
  }
  return { logit_bias: Object.fromEntries(logitBias.map(({ token, bias }) => [token, bias])) };
}

/** `kwargs`: the client's own arguments for the template, which win. */
function thinkingFields(request: GenerationRequest, options: BodyOptions, kwargs: unknown): Fields {
  const { thinking } = request;
  if (thinking === undefined) return {};
  const level = typeof thinking === 'string' ? thinking : undefined;
  const { flavor, templateSwitch } = options.dialect;
  if (!templateSwitch) {
    // The operator says that this server takes it.
    if (level === undefined && hasSwitch(kwargs)) return {};
    if (level !== undefined) return { reasoning_effort: level };
    if (thinking === false) return noThinkingFields(request, options);
    throw unsupported('think', 'this model’s server without a level', { advice: 'Use low, medium or high.' });
  }
  if (!options.templateSwitch) {
    if (asksNotToThink(request)) throw cannotStopThinking();
    if (thinking === false) return {};
    throw unsupported('think', 'this model, whose chat template has no switch for it', {
      advice: 'Remove it.',
    });
  }
  const inTemplate = level !== undefined && flavor !== 'vllm' ? { reasoning_effort: level } : {};
  return {
    chat_template_kwargs: { enable_thinking: thinking !== false, ...inTemplate, ...asFields(kwargs) },
    ...(level !== undefined && flavor === 'vllm' && { reasoning_effort: level }),
  };
}

/**
 * The OpenAI API has this value; which of its servers and models take it is not known before they are asked. What is only a default is
 * not worth a field that a server may reject.
 */
function noThinkingFields(request: GenerationRequest, { effortNone }: BodyOptions): Fields {
  if (!asksNotToThink(request)) return {};
  if (!effortNone) throw cannotStopThinking();
  return { reasoning_effort: NO_EFFORT };
}

const NO_EFFORT = 'none';

function cannotStopThinking(): ServingError {
  return unsupported('think', 'this model’s server where it is switched off', { advice: 'Remove it.' });
}

/** By the names that templates have for it. */
function hasSwitch(kwargs: unknown): boolean {
  const { enable_thinking: first, thinking: second } = asFields(kwargs);
  return typeof first === 'boolean' || typeof second === 'boolean';
}

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** What the dialect has no field for was rejected before. */
function chatOutputFields(output: OutputFormat | undefined, dialect: Dialect): Fields {
  switch (output?.kind) {
    case undefined:
      return {};
    case 'grammar':
      return grammarField(output.grammar, dialect);
    case 'regex':
      return { structured_outputs: { regex: output.regex } };
    case 'choice':
      return { structured_outputs: { choice: output.choices } };
    case 'json':
      return { response_format: { type: 'json_object' } };
    case 'json-schema': {
      // The OpenAI service guarantees the schema, or rejects it, only if it is strict.
      const strict = dialect.flavor === 'generic' ? { strict: true } : {};
      const json_schema = { name: 'answer', schema: output.schema, ...strict };
      return { response_format: { type: 'json_schema', json_schema } };
    }
    default:
      return output satisfies never;
  }
}

/** The OpenAI API has no structured output for raw prompts; vLLM and llama-server do. */
function promptOutputFields(output: OutputFormat | undefined, dialect: Dialect): Fields {
  if (output === undefined) return {};
  switch (dialect.grammarFields) {
    case 'none':
      throw unsupported('format', 'this model’s server together with a raw prompt', {
        advice: 'Remove one of the two.',
      });
    case 'structured-outputs':
      return chatOutputFields(output, dialect);
    case 'plain':
      if (output.kind === 'json') return { json_schema: { type: 'object' } };
      if (output.kind === 'json-schema') return { json_schema: output.schema };
      return chatOutputFields(output, dialect);
    default:
      return dialect.grammarFields satisfies never;
  }
}

function grammarField(grammar: string, { grammarFields }: Dialect): Fields {
  return grammarFields === 'structured-outputs' ? { structured_outputs: { grammar } } : { grammar };
}

interface RejectedCall {
  readonly request: GenerationRequest;
  readonly sent: OpenAiCall['body'];
  readonly answer: JsonResponse;
}

/**
 * Without what the server rejects but does not need: the template's switch, a max_tokens larger than what is left, its older name,
 * the strictness of a forced call, and that it is not to think, which is then refused here; each at most once. A message may repeat what the client wrote: it counts only if it is about
 * something that was sent, and added by this server. Undefined: the rejection is final.
 */
export function optionsForRetry(options: BodyOptions, rejected: RejectedCall): BodyOptions | undefined {
  const { sent, answer } = rejected;
  if (options.templateSwitch && weAddedTemplateSwitch(rejected) && rejectsTemplateSwitch(answer))
    return { ...options, templateSwitch: false };
  if (options.strictTools && weAddedStrict(rejected) && rejectsStrictTools(answer))
    return { ...options, strictTools: false };
  if (options.effortNone && sent.reasoning_effort === NO_EFFORT && rejectsEffort(answer))
    return { ...options, effortNone: false };
  if ('messages' in sent && 'max_tokens' in sent && wantsNewerLimit(answer))
    return { ...options, maxTokensName: 'max_completion_tokens' };
  const contextError = answer.status === 400 ? contextErrorOf(answer.body) : undefined;
  const { maxTokens } = options;
  if (contextError === undefined || maxTokens === undefined || !promptMayFit(contextError)) return undefined;
  if (options.dialect.nullMeansRest) return { ...options, maxTokens: undefined };
  const room = roomLeft(contextError);
  return room === undefined || room >= maxTokens ? undefined : { ...options, maxTokens: room };
}

/** What the server has not refused so far. */
type Accepted = Pick<BodyOptions, 'templateSwitch' | 'effortNone' | 'maxTokensName'>;

export const ACCEPTED_AT_FIRST: Accepted = {
  templateSwitch: true,
  effortNone: true,
  maxTokensName: 'max_tokens',
};

/** Only what has helped: an error may repeat what one client wrote, and would then affect all others. */
export function acceptedAfter(accepted: Accepted, before: Accepted, helped: Accepted): Accepted {
  const { templateSwitch, maxTokensName } = helped;
  if (before.templateSwitch && !templateSwitch) return { ...accepted, templateSwitch };
  return before.maxTokensName === maxTokensName ? accepted : { ...accepted, maxTokensName };
}

/** The client did not set it. */
function weAddedStrict({ request: { tools } }: RejectedCall): boolean {
  return tools !== undefined && isForced(tools) && !tools.tools.some(({ strict }) => strict);
}

/** The switch is the template's only argument. */
function weAddedTemplateSwitch({ request, sent }: RejectedCall): boolean {
  const own = request.extras?.chat_template_kwargs;
  return 'chat_template_kwargs' in sent && (own === undefined || own === null);
}

export function embedBody(
  { inputs, dimensions, user }: Pick<EmbeddingRequest, 'inputs' | 'dimensions' | 'user'>,
  { model, format }: { readonly model: string; readonly format: Dialect['embeddingFormat'] },
): Readonly<Record<string, unknown>> {
  return {
    model,
    input: inputs,
    encoding_format: format,
    ...(dimensions !== undefined && { dimensions }),
    ...(user !== undefined && { user }),
  };
}
