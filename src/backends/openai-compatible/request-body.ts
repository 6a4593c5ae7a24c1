/**
 * A generation request in the words of the OpenAI API and of one dialect. Pure. What a dialect does not know is refused
 * by name rather than left away. Thinking: dialects with a template switch are told on every chat request, since
 * unset means "on" for most templates; the others are told only when the request wishes it.
 */
import { ServingError } from '../../core/errors.ts';
import { refuseUnsupported } from '../../core/features.ts';
import type { GenerationRequest, OutputFormat, Sampling } from '../../core/generation.ts';
import type { Dialect } from './dialect.ts';

export interface CallOptions {
  readonly model: string;
  readonly dialect: Dialect;
  /** Undefined: all that the context leaves. */
  readonly maxTokens: number | undefined;
  readonly contextSize: number | undefined;
  /** False once the server said that its template takes no switch. */
  readonly templateSwitch: boolean;
}

export interface OpenAiCall {
  readonly path: '/v1/chat/completions' | '/v1/completions';
  readonly body: Readonly<Record<string, unknown>>;
}

export function generateCall(request: GenerationRequest, options: CallOptions): OpenAiCall {
  const { input } = request;
  refuseUnsupported(request, { backend: 'openai-compatible', supports: options.dialect.supports });
  const shared = {
    model: options.model,
    stream: true,
    stream_options: { include_usage: true },
    ...samplingFields(request.sampling, options.dialect),
    ...biasFields(request.sampling),
    ...(request.limits.stop.length === 0 ? {} : { stop: request.limits.stop }),
  };
  if (input.kind === 'chat') {
    const limit = options.maxTokens === undefined ? {} : { max_tokens: options.maxTokens };
    const body = {
      ...shared,
      ...limit,
      ...thinkingFields(request, options),
      ...outputFields(request.output),
      messages: input.messages,
    };
    return { path: '/v1/chat/completions', body };
  }
  if (request.thinking) {
    throw refusal(
      'think',
      'needs the chat template, so it cannot go with a raw prompt. Leave one of the two away',
    );
  }
  if (request.output !== undefined) {
    throw refusal(
      'format',
      'goes only with a chat on an OpenAI-compatible backend, not with a raw prompt. Leave one of the two away',
    );
  }
  return { path: '/v1/completions', body: { ...shared, ...completionLimit(options), prompt: input.prompt } };
}

/** Unset, `/v1/completions` gives 16 tokens on many servers: all that the context leaves has to be asked for. */
function completionLimit({ maxTokens, contextSize, dialect }: CallOptions): { max_tokens?: number | null } {
  if (maxTokens !== undefined) return { max_tokens: maxTokens };
  if (dialect.nullMeansRest) return { max_tokens: null };
  if (dialect.flavor === 'generic' && contextSize !== undefined) return { max_tokens: contextSize };
  return {};
}

function samplingFields(sampling: Sampling, dialect: Dialect): Record<string, number> {
  const fields: Record<string, number> = {};
  const set = (name: string, value: number | undefined) => {
    if (value !== undefined) fields[name] = value;
  };
  const setExtra = (extra: { ours: string; theirs: string | undefined; value: number | undefined }) => {
    if (extra.value === undefined) return;
    if (extra.theirs === undefined)
      throw refusal(extra.ours, 'is not known to an OpenAI-compatible backend. Leave it away');
    fields[extra.theirs] = extra.value;
  };
  set('temperature', sampling.temperature);
  set('top_p', sampling.topP);
  set('seed', sampling.seed);
  set('presence_penalty', sampling.presencePenalty);
  set('frequency_penalty', sampling.frequencyPenalty);
  setExtra({ ours: 'top_k', theirs: dialect.topK, value: sampling.topK });
  setExtra({ ours: 'min_p', theirs: dialect.minP, value: sampling.minP });
  setExtra({ ours: 'repeat_penalty', theirs: dialect.repeatPenalty, value: sampling.repeatPenalty });
  return fields;
}

function biasFields({ logitBias }: Sampling): { logit_bias?: Record<string, number> } {
  if (logitBias === undefined) return {};
  return { logit_bias: Object.fromEntries(logitBias.map(({ token, bias }) => [token, bias])) };
}

/** Grammars have no form that these servers share; they were refused before. */
function outputFields(output: OutputFormat | undefined): Record<string, unknown> {
  if (output?.kind === 'json') return { response_format: { type: 'json_object' } };
  if (output?.kind !== 'json-schema') return {};
  return {
    response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: output.schema } },
  };
}

function thinkingFields({ thinking }: GenerationRequest, options: CallOptions): Record<string, unknown> {
  if (thinking === undefined) return {};
  const level = typeof thinking === 'string' ? thinking : undefined;
  const { flavor, templateSwitch } = options.dialect;
  if (!templateSwitch) {
    if (level !== undefined) return { reasoning_effort: level };
    if (thinking === true)
      throw refusal('think', 'must be low, medium or high for an OpenAI-compatible backend');
    return {};
  }
  if (!options.templateSwitch) {
    if (thinking !== false)
      throw refusal('think', 'is set, but this model’s template cannot switch thinking. Leave it away');
    return {};
  }
  const enabled = { enable_thinking: thinking !== false };
  if (level === undefined) return { chat_template_kwargs: enabled };
  return flavor === 'vllm'
    ? { chat_template_kwargs: enabled, reasoning_effort: level }
    : { chat_template_kwargs: { ...enabled, reasoning_effort: level } };
}

function refusal(param: string, what: string): ServingError {
  return new ServingError('invalid_request', { message: `${param} ${what}.`, param });
}
