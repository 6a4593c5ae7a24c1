/**
 * A generation request in the words of the OpenAI API and of one dialect. Pure. What a dialect does not know is refused
 * by name rather than left away. Nothing is said of thinking unless the request does. One answer each: `n` is never sent.
 */
import { ServingError } from '../../core/errors.ts';
import { type Feature, refuseUnsupported, unsupported } from '../../core/features.ts';
import type { GenerationRequest, Limits, Sampling } from '../../core/generation.ts';
import type { Dialect } from './dialect.ts';
import { logprobFields } from './logprob-fields.ts';
import { chatOutputFields, promptOutputFields } from './output-fields.ts';
import { passedFields, saysOutput } from './passed-fields.ts';
import { toolFields } from './tool-fields.ts';
import { wireMessages } from './wire-messages.ts';

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

export interface OpenAiCall {
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
  const output = saysOutput(passed, dialect.flavor) ? undefined : request.output;
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
