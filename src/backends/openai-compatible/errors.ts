/**
 * What the error responses of OpenAI-compatible servers mean for our client, by status and message: everything here that depends on
 * how a server words an error. Pure.
 */
import { ServingError } from '../../core/errors.ts';
import { FEATURES, type Feature, unsupported } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { failureOfStatus, statusError } from '../../upstream/failures.ts';
import { asCount, asObject, asText, excerpt, type UntypedObject } from '../../upstream/untyped.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';
import { contentFiltered } from './content-filter.ts';

/** Fields of these servers, and our names for them. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  messages: 'messages',
  prompt: 'prompt',
  temperature: 'temperature',
  top_p: 'top_p',
  top_k: 'top_k',
  min_p: 'min_p',
  seed: 'seed',
  stop: 'stop',
  max_tokens: 'max_tokens',
  max_completion_tokens: 'max_tokens',
  n_predict: 'max_tokens',
  min_tokens: 'min_tokens',
  ignore_eos: 'ignore_eos',
  presence_penalty: 'presence_penalty',
  frequency_penalty: 'frequency_penalty',
  repetition_penalty: 'repeat_penalty',
  repeat_penalty: 'repeat_penalty',
  logit_bias: 'logit_bias',
  logprobs: 'logprobs',
  top_logprobs: 'logprobs',
  n_probs: 'logprobs',
  tools: 'tools',
  functions: 'tools',
  tool_choice: 'tool_choice',
  parallel_tool_calls: 'parallel_tool_calls',
  response_format: 'format',
  json_schema: 'format',
  structured_outputs: 'format',
  grammar: 'grammar',
  reasoning_effort: 'think',
  dimensions: 'dimensions',
  input: 'input',
};

/** For errors that name no field: how messages refer to a feature. */
const FEATURE_PATTERNS: readonly (readonly [Feature, RegExp])[] = [
  ['grammar', /grammar|samplers/i],
  ['json-schema', /schema|grammar|structured.?output|guided/i],
  ['tools', /schema|grammar|structured.?output|guided/i],
  ['logit-bias', /logit_bias/i],
  ['logprobs', /logprobs/i],
];

/** OpenAI's codes for a field that a model does not support. */
const UNSUPPORTED_CODES = ['unsupported_parameter', 'unsupported_value'];

interface ErrorContext {
  readonly model: string;
  readonly wallNowMs: number;
  /** Absent unless it is a generation. */
  readonly request?: GenerationRequest | undefined;
}

/** For a response whose status is not 200. */
export function responseError(answer: JsonResponse, about: ErrorContext): ServingError {
  const { status, body } = answer;
  const error = errorObject(body);
  const text = asText(error.message) ?? asText(error.detail);
  const shown = text && excerpt(text);
  const cause = new Error(`The server answered ${status}: ${shown ?? 'no reason given'}`);
  const contextError = status < 500 ? contextErrorOf(body) : undefined;
  if (contextError !== undefined) return contextExceeded(contextError, cause);
  const missing = about.request && missingAbility(text ?? '', about.request);
  if (missing !== undefined) return missing;
  const filtered = contentFiltered(error, { status, cause });
  if (filtered !== undefined) return filtered;
  if (/\bdata_parallel_rank \d+ is out of range/.test(text ?? '')) return rankNotFound(cause);
  if (failureOfStatus(status) === undefined) {
    const param = fieldOf(error, about.request);
    const message = `The model’s backend rejected the request: ${shown ?? 'it gave no reason'}`;
    if (param === undefined) return new ServingError('invalid_request', { message, cause });
    return UNSUPPORTED_CODES.includes(asText(error.code) ?? '')
      ? new ServingError('unsupported_parameter', { message, param, cause })
      : new ServingError('invalid_request', { message, param, cause });
  }
  if (status === 404)
    return error.message === undefined ? routeNotFound(cause) : modelNotFound(about.model, cause);
  const failed = statusError(answer, { wallNowMs: about.wallNowMs, cause });
  return failed.failure === 'overloaded' && /\bloading\b/i.test(text ?? '') ? loading(failed) : failed;
}

/**
 * The status of an error inside a response with status 200, or a chunk of one, if the server rejects the request: vLLM finds bad
 * schemas after its 200.
 */
export function embeddedStatus(body: unknown): number | undefined {
  const code = asCount(errorObject(body).code);
  return code !== undefined && code >= 400 && code < 500 ? code : undefined;
}

/** An error that came as a chunk after the 200 was sent. */
export function streamError(body: unknown): ServingError {
  const cause = new Error(
    `The server failed mid-stream: ${excerpt(asText(errorObject(body).message) ?? 'no reason given')}`,
  );
  const contextError = contextErrorOf(body);
  if (contextError !== undefined) return contextExceeded(contextError, cause);
  const filtered = contentFiltered(errorObject(body), { cause });
  if (filtered !== undefined) return filtered;
  return new ServingError('backend_error', {
    message: 'The model’s backend failed during the answer.',
    failure: 'cut',
    cause,
  });
}

/** Reasoning models of the OpenAI service accept the limit only under its newer name. */
export function wantsNewerLimit({ status, body }: JsonResponse): boolean {
  return status === 400 && /max_completion_tokens/.test(asText(errorObject(body).message) ?? '');
}

/** The OpenAI service supports only a part of JSON Schema in strict tools; other servers do not know the field. */
export function rejectsStrictTools({ status, body }: JsonResponse): boolean {
  const { code, message, detail } = errorObject(body);
  if (status !== 400 && status !== 422) return false;
  return code === 'invalid_function_parameters' || /\bstrict\b/i.test(JSON.stringify([message, detail]));
}

/** The server does not know `reasoning_effort`, or not its value: it names the field, whatever the form of its error. */
export function rejectsEffort({ status, body }: JsonResponse): boolean {
  const { param, message, detail } = errorObject(body);
  return (
    (status === 400 || status === 422) &&
    /\breasoning_effort\b/.test(JSON.stringify([param, message, detail]))
  );
}

/** As `rejectsEffort`, by a part of the error that no words of a client can get into. */
export function namesEffort({ body }: JsonResponse): boolean {
  const { param, message } = errorObject(body);
  return (
    param === 'reasoning_effort' ||
    /^Unrecognized request argument[^:]*: reasoning_effort\b/.test(asText(message) ?? '')
  );
}

/** The model's chat template takes no arguments, so none that turns thinking on or off. */
export function rejectsTemplateSwitch({ status, body }: JsonResponse): boolean {
  return status === 400 && /chat_template.* not supported/i.test(asText(errorObject(body).message) ?? '');
}

export function modelNotFound(model: string, cause?: unknown): ServingError {
  const message = `The backend does not serve the model ${JSON.stringify(model)}. Its /v1/models lists the models that it serves.`;
  return new ServingError('model_not_found', { message, cause });
}

function fieldOf(error: UntypedObject, request: GenerationRequest | undefined): string | undefined {
  const root = /^[^.[]*/.exec(asText(error.param) ?? '')?.[0] ?? '';
  if (Object.hasOwn(FIELD_NAMES, root)) return FIELD_NAMES[root];
  const text = asText(error.message);
  if (request === undefined || text === undefined) return undefined;
  for (const [feature, pattern] of FEATURE_PATTERNS) {
    const field = FEATURES[feature].askedBy(request);
    if (field !== undefined && pattern.test(text)) return field;
  }
  return undefined;
}

function loading({ retryAfterSeconds = 1, cause }: ServingError): ServingError {
  const message = 'The model is still loading.';
  return new ServingError('model_loading', { message, retryAfterSeconds, cause });
}

/** The request is fine: the target names a rank that its vLLM does not have. */
function rankNotFound(cause: Error): ServingError {
  return new ServingError('backend_error', {
    message:
      'The model’s backend does not have the data-parallel rank that its target names. The operator must change data_parallel_rank.',
    failure: 'misconfigured',
    cause,
  });
}

function routeNotFound(cause: Error): ServingError {
  return new ServingError('backend_error', {
    message: 'The model’s backend does not have the route that this request needs.',
    failure: 'misconfigured',
    cause,
  });
}

/** Prompt and answer do not fit into the context. Numbers as far as the message has them. */
interface ContextError {
  readonly contextSize?: number;
  readonly promptTokens?: number;
  /** The server stopped counting at `promptTokens`. */
  readonly atLeast: boolean;
}

const CONTEXT_SIZES = [
  /max_model_len\s*=\s*(\d+)/,
  /context (?:length|size|window) (?:is|of)(?: only)? (\d+)/i,
];
const EXACT_PROMPTS = [
  /\((\d+) (?:tokens )?in (?:the|your) (?:messages|prompt|input)/i,
  /(?:request|prompt|messages|input) (?:has|have|contains?|resulted in) (\d+)(?: input| prompt)? tokens/i,
];
const LOWER_BOUNDS = [/passed (\d+) input tokens/i, /contains at least (\d+)(?: input| prompt)? tokens/i];

/** `body`: of an error response, or a chunk with an error. */
export function contextErrorOf(body: unknown): ContextError | undefined {
  const error = errorObject(body);
  const message = asText(error.message) ?? '';
  if (error.type === 'exceed_context_size_error') {
    return known({
      contextSize: asCount(error.n_ctx),
      promptTokens: asCount(error.n_prompt_tokens),
      atLeast: false,
    });
  }
  const contextSize = firstNumber(message, CONTEXT_SIZES);
  if (contextSize === undefined && error.code !== 'context_length_exceeded') return undefined;
  const exact = firstNumber(message, EXACT_PROMPTS);
  const promptTokens = exact ?? firstNumber(message, LOWER_BOUNDS);
  return known({ contextSize, promptTokens, atLeast: exact === undefined });
}

/** No number shows that the prompt alone is too long. */
export function promptMayFit({ contextSize, promptTokens }: ContextError): boolean {
  return contextSize === undefined || promptTokens === undefined || promptTokens < contextSize;
}

/** What the context leaves after the prompt, if both are known exactly. */
export function roomLeft({ contextSize, promptTokens, atLeast }: ContextError): number | undefined {
  if (atLeast || contextSize === undefined || promptTokens === undefined) return undefined;
  return promptTokens < contextSize ? contextSize - promptTokens : undefined;
}

function contextExceeded({ contextSize, promptTokens, atLeast }: ContextError, cause: unknown): ServingError {
  const prompt =
    promptTokens === undefined ? 'is too long' : `has ${atLeast ? 'at least ' : ''}${promptTokens} tokens`;
  const size = contextSize === undefined ? 'is smaller' : `holds ${contextSize}`;
  const message = `The prompt ${prompt}, but the model’s context ${size}. Shorten the prompt.`;
  return new ServingError('context_length_exceeded', { message, cause });
}

/** Servers put their error into `error`, as an object or a text, or send it bare. */
export function errorObject(body: unknown): UntypedObject {
  const { error } = asObject(body);
  if (typeof error === 'string') return { message: error };
  return error === undefined || error === null ? asObject(body) : asObject(error);
}

function firstNumber(message: string, patterns: readonly RegExp[]): number | undefined {
  for (const pattern of patterns) {
    const digits = pattern.exec(message)?.[1];
    if (digits !== undefined) return Number(digits);
  }
  return undefined;
}

function known(found: {
  contextSize: number | undefined;
  promptTokens: number | undefined;
  atLeast: boolean;
}): ContextError {
  const { contextSize, promptTokens, atLeast } = found;
  return {
    ...(contextSize === undefined ? {} : { contextSize }),
    ...(promptTokens === undefined ? {} : { promptTokens }),
    atLeast,
  };
}

/** A model, or a server as it was started, does not support a feature. */
interface MissingAbility {
  readonly pattern: RegExp;
  readonly feature: Feature;
  readonly who: string;
  readonly advice: string;
}

const MISSING_ABILITIES: readonly MissingAbility[] = [
  {
    pattern: /tool choice requires|--enable-auto-tool-choice|--tool-call-parser/i,
    feature: 'tools',
    who: 'this model’s server as it was started',
    advice:
      'Remove it, use another model, or start the server with --enable-auto-tool-choice and --tool-call-parser.',
  },
  {
    pattern: /requires --jinja/i,
    feature: 'tools',
    who: 'this model’s server as it was started',
    advice: 'Remove it, use another model, or start the server with --jinja.',
  },
  {
    pattern:
      /image input is not supported|is not a multimodal model|at most 0 image|does not support image|image_url.*(?:not supported|unsupported)/i,
    feature: 'images',
    who: 'this model',
    advice: 'Send text only, or use another model.',
  },
];

/** Whatever the status: one server sends a 500 for it. */
function missingAbility(text: string, request: GenerationRequest): ServingError | undefined {
  for (const missing of MISSING_ABILITIES) {
    const field = FEATURES[missing.feature].askedBy(request);
    if (field !== undefined && missing.pattern.test(text))
      return unsupported(field, missing.who, { advice: missing.advice });
  }
  return undefined;
}

/** The model's vectors cannot be shortened. */
export function dimensionsUnsupported({ status, body }: JsonResponse): ServingError | undefined {
  const message = asText(errorObject(body).message) ?? '';
  return status === 400 && /does not support matryoshka/i.test(message) ? fixedDimensions() : undefined;
}

export function fixedDimensions(): ServingError {
  return unsupported('dimensions', 'this model, whose vectors have a fixed length', {
    advice: 'Remove it.',
  });
}

/** The server has no such route, or not for this model. */
export function embeddingsUnsupported({ status, body }: JsonResponse): ServingError | undefined {
  const { message } = errorObject(body);
  const lacksRoute = status === 405 || status === 501 || (status === 404 && message === undefined);
  if (!lacksRoute && !/does not support embeddings/i.test(asText(message) ?? '')) return undefined;
  return new ServingError('invalid_request', {
    message: 'This model’s server does not compute embeddings with it. Use an embedding model.',
    param: 'model',
    failure: 'unsupported',
    cause: new Error(`The server answered ${status}: ${asText(message) ?? 'no reason given'}`),
  });
}
