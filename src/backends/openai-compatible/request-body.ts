/**
 * A generation request in the words of the OpenAI API and of one dialect. Pure. What a dialect does not know is refused
 * by name rather than left away. Nothing is said of thinking unless the request does. One answer each: `n` is never sent.
 */

import { ServingError } from '../../core/errors.ts';
import { type Feature, refuseUnsupported, unsupported } from '../../core/features.ts';
import type { GenerationRequest, Limits, OutputFormat, Sampling } from '../../core/generation.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';
import { logprobFields } from './answer-reader.ts';
import { isForced, toolFields, wireMessages } from './chat-fields.ts';
import { type Dialect, passedFields, setsOutputFormat } from './dialect.ts';
import {
  contextErrorOf,
  promptMayFit,
  rejectsStrictTools,
  rejectsTemplateSwitch,
  roomLeft,
  wantsNewerLimit,
} from './errors.ts';

export interface BodyOptions {
  readonly model: string;
  readonly dialect: Dialect;
  /** Names of fields that are passed on as they came. */
  readonly passed: ReadonlySet<string>;
  /** Of the dialect, and through fields that are passed on. */
  readonly supports: readonly Feature[];
  /** Undefined: all that the context leaves. */
  readonly maxTokens: number | undefined;
  /** Models of the OpenAI service that reason refuse the older name. */
  readonly maxTokensName: 'max_tokens' | 'max_completion_tokens';
  readonly contextSize: number | undefined;
  /** How many tokens the model knows, where the server tells it. */
  readonly vocabularySize: number | undefined;
  /** False once the server said that its template takes no switch. */
  readonly templateSwitch: boolean;
  /** False once the server said that it does not take a forced call’s schema as a strict one. */
  readonly strictTools: boolean;
  /** The answer comes in one piece. */
  readonly whole: boolean;
  /** A stream begins with the prompt's length, where the server can tell it by then. */
  readonly promptTokensFirst: boolean;
}

interface OpenAiCall {
  readonly path: '/v1/chat/completions' | '/v1/completions';
  readonly body: Readonly<Record<string, unknown>>;
}

type Fields = Readonly<Record<string, unknown>>;

/** Servers take the one only without the other. */
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
    limitFields(limits),
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
      advice: 'Leave one of the two away.',
    });
  }
  const body = Object.assign(shared, completionLimit(options), promptOutputFields(output, dialect), {
    prompt: input.kind === 'tokens' ? input.tokens : input.prompt,
  });
  return { path: '/v1/completions', body };
}

/** What the client itself says of it, in a field that is passed on, stays. */
function withoutOutput(request: GenerationRequest): GenerationRequest {
  if (request.output === undefined) return request;
  const { output: _, ...others } = request;
  return others;
}

/** vLLM tells the prompt's length before the end only in the usage of every chunk; llama-server as its progress with it. */
function deliveryFields({ whole, promptTokensFirst, dialect: { earlyPrompt } }: BodyOptions): Fields {
  if (whole) return { stream: false };
  const inEachChunk = promptTokensFirst && earlyPrompt === 'usage' && { continuous_usage_stats: true };
  return {
    stream: true,
    stream_options: { include_usage: true, ...inEachChunk },
    ...(promptTokensFirst && earlyPrompt === 'progress' && { return_progress: true }),
  };
}

/** Unset, `/v1/completions` gives 16 tokens on many servers: all that the context leaves has to be asked for. */
function completionLimit({ maxTokens, contextSize, dialect }: BodyOptions): Fields {
  if (maxTokens !== undefined) return { max_tokens: maxTokens };
  if (dialect.nullMeansRest) return { max_tokens: null };
  if (dialect.flavor === 'generic' && contextSize !== undefined) return { max_tokens: contextSize };
  return {};
}

function limitFields({ stop, stopTokens, minTokens, ignoreEos }: Limits): Fields {
  return {
    ...(stop.length > 0 && { stop }),
    ...(stopTokens !== undefined && { stop_token_ids: stopTokens }),
    ...(minTokens !== undefined && { min_tokens: minTokens }),
    ...(ignoreEos && { ignore_eos: true }),
  };
}

/** What the dialect has no name for was refused before. */
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
  return sampling.badWords === undefined ? fields : { ...fields, bad_words: sampling.badWords };
}

/** Some servers leave away, without a word, a token that the model does not have. */
function biasFields({ logitBias }: Sampling, vocabularySize = Number.POSITIVE_INFINITY): Fields {
  if (logitBias === undefined) return {};
  const unknown = logitBias.find(({ token }) => token >= vocabularySize);
  if (unknown !== undefined) {
    throw new ServingError('invalid_request', {
      message: `logit_bias names the token ${unknown.token}, but the model has ${vocabularySize}, counted from 0.`,
      param: 'logit_bias',
    });
  }
  return { logit_bias: Object.fromEntries(logitBias.map(({ token, bias }) => [token, bias])) };
}

/** `kwargs`: what the client itself says to the template; it wins. */
function thinkingFields({ thinking }: GenerationRequest, options: BodyOptions, kwargs: unknown): Fields {
  if (thinking === undefined) return {};
  const level = typeof thinking === 'string' ? thinking : undefined;
  const { flavor, templateSwitch } = options.dialect;
  if (!templateSwitch) {
    if (level !== undefined) return { reasoning_effort: level };
    if (thinking === false) return {};
    throw unsupported('think', 'this model’s server without a level', { advice: 'Say low, medium or high.' });
  }
  if (!options.templateSwitch) {
    if (thinking === false) return {};
    throw unsupported('think', 'this model, whose template has no switch for it', {
      advice: 'Leave it away.',
    });
  }
  const inTemplate = level !== undefined && flavor !== 'vllm' ? { reasoning_effort: level } : {};
  return {
    chat_template_kwargs: { enable_thinking: thinking !== false, ...inTemplate, ...asFields(kwargs) },
    ...(level !== undefined && flavor === 'vllm' && { reasoning_effort: level }),
  };
}

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** The form of the text in the words of the OpenAI API and of one dialect. Pure. */

type OutputFields = Readonly<Record<string, unknown>>;

/** What the dialect has no field for was refused before. */
function chatOutputFields(output: OutputFormat | undefined, dialect: Dialect): OutputFields {
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
      // The OpenAI service promises what the schema says, or refuses it, only when it is told to be strict.
      const strict = dialect.flavor === 'generic' ? { strict: true } : {};
      const json_schema = { name: 'answer', schema: output.schema, ...strict };
      return { response_format: { type: 'json_schema', json_schema } };
    }
    default:
      return output satisfies never;
  }
}

/** The OpenAI API has no forms of raw prompts; servers of one's own do. */
function promptOutputFields(output: OutputFormat | undefined, dialect: Dialect): OutputFields {
  if (output === undefined) return {};
  switch (dialect.grammarFields) {
    case 'none':
      throw unsupported('format', 'this model’s server together with a raw prompt', {
        advice: 'Leave one of the two away.',
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

function grammarField(grammar: string, { grammarFields }: Dialect): OutputFields {
  return grammarFields === 'structured-outputs' ? { structured_outputs: { grammar } } : { grammar };
}

/**
 * How a refused call is asked again, where the server refuses something that it can do without: the template's switch, a
 * max_tokens larger than what is left, its older name, the strictness of a forced call; each at most once. Its words may
 * repeat what the client wrote, so they count only where they speak of what was sent, by this server and not by the client.
 * Pure.
 */

interface RejectedCall {
  readonly request: GenerationRequest;
  readonly sent: OpenAiCall['body'];
  readonly answer: JsonResponse;
}

/** Undefined where the refusal is the answer. */
export function optionsForRetry(options: BodyOptions, refused: RejectedCall): BodyOptions | undefined {
  const { sent, answer } = refused;
  if (options.templateSwitch && weAddedTemplateSwitch(refused) && rejectsTemplateSwitch(answer))
    return { ...options, templateSwitch: false };
  if (options.strictTools && weAddedStrict(refused) && rejectsStrictTools(answer))
    return { ...options, strictTools: false };
  if ('messages' in sent && 'max_tokens' in sent && wantsNewerLimit(answer))
    return { ...options, maxTokensName: 'max_completion_tokens' };
  const contextError = answer.status === 400 ? contextErrorOf(answer.body) : undefined;
  const asked = options.maxTokens;
  if (contextError === undefined || asked === undefined || !promptMayFit(contextError)) return undefined;
  if (options.dialect.nullMeansRest) return { ...options, maxTokens: undefined };
  const room = roomLeft(contextError);
  return room === undefined || room >= asked ? undefined : { ...options, maxTokens: room };
}

/** The client itself did not ask for it. */
function weAddedStrict({ request: { tools } }: RejectedCall): boolean {
  return tools !== undefined && isForced(tools) && !tools.tools.some(({ strict }) => strict);
}

/** The switch is all that the template was told. */
function weAddedTemplateSwitch({ request, sent }: RejectedCall): boolean {
  const own = request.extras?.chat_template_kwargs;
  return 'chat_template_kwargs' in sent && (own === undefined || own === null);
}
