/** What the refusals of OpenAI-compatible servers mean for our client, by status and words. */
import { ServingError } from '../../core/errors.ts';
import { FEATURES, type Feature } from '../../core/features.ts';
import type { GenerationRequest } from '../../core/generation.ts';
import { asCount, asText, type Loose } from '../../upstream/lenient.ts';
import { retryAfterSeconds } from '../../upstream/retry-after.ts';
import { shownWords } from '../../upstream/shown-words.ts';
import type { JsonAnswer } from '../../upstream/upstream.ts';
import { contextErrorOf, contextExceeded, errorObject } from './context-error.ts';
import { missingAbility } from './missing-ability.ts';

/** Fields of these servers, and what ours are called. */
const OUR_NAMES: Readonly<Record<string, string>> = {
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

/** Where a server names no field: how its words speak of one that was asked. */
const SPOKEN_OF: readonly (readonly [Feature, RegExp])[] = [
  ['grammar', /grammar|samplers/i],
  ['json-schema', /schema|grammar|structured.?output|guided/i],
  ['tools', /schema|grammar|structured.?output|guided/i],
  ['logit-bias', /logit_bias/i],
  ['logprobs', /logprobs/i],
];

/** OpenAI's own codes for a field that a model does not take. */
const NOT_TAKEN = ['unsupported_parameter', 'unsupported_value'];

export interface Refused {
  readonly model: string;
  readonly wallNowMs: number;
  /** Absent for what is no generation. */
  readonly request?: GenerationRequest | undefined;
}

/** An answer whose status is not 200. */
export function refusal(answer: JsonAnswer, about: Refused): ServingError {
  const { status, body } = answer;
  const error = errorObject(body);
  const words = asText(error.message) ?? asText(error.detail);
  const shown = words && shownWords(words);
  const cause = new Error(`The server answered ${status}: ${shown ?? 'no reason given'}`);
  const contextError = status < 500 ? contextErrorOf(body) : undefined;
  if (contextError !== undefined) return contextExceeded(contextError, cause);
  const missing = about.request && missingAbility(words ?? '', about.request);
  if (missing !== undefined) return missing;
  switch (status) {
    case 400:
    case 413:
    case 422: {
      const param = fieldOf(error, about.request);
      const isNotTaken = param !== undefined && NOT_TAKEN.includes(asText(error.code) ?? '');
      const message = `The model’s backend refused the request: ${shown ?? 'it gave no reason'}`;
      return new ServingError(isNotTaken ? 'unsupported_parameter' : 'invalid_request', {
        message,
        ...(param === undefined ? {} : { param }),
        cause,
      });
    }
    case 404:
      return error.message === undefined ? routeMissing(cause) : modelMissing(about.model, cause);
    case 429:
    case 503:
      return busy({ words, cause, seconds: retryAfterSeconds(answer.headers, about.wallNowMs) });
    case 401:
    case 403: {
      const message =
        'The model’s backend does not accept this server’s key. Its operator has to set the target’s api_key.';
      return new ServingError('backend_error', { message, cause });
    }
    default:
      return new ServingError('backend_error', { message: `The model’s backend answered ${status}.`, cause });
  }
}

/**
 * The status of an error within an answer of status 200, or a chunk of one, where the server refuses what was asked: vLLM
 * finds bad schemas after its 200.
 */
export function refusedWithin(body: unknown): number | undefined {
  const code = asCount(errorObject(body).code);
  return code !== undefined && code >= 400 && code < 500 ? code : undefined;
}

/** An error that came as a chunk after the 200 was sent. */
export function streamFailure(body: unknown): ServingError {
  const cause = new Error(
    `The server failed mid-stream: ${shownWords(asText(errorObject(body).message) ?? 'no reason given')}`,
  );
  const contextError = contextErrorOf(body);
  if (contextError !== undefined) return contextExceeded(contextError, cause);
  return new ServingError('backend_error', {
    message: 'The model’s backend failed during the answer.',
    cause,
  });
}

/** A model that reasons, at the OpenAI service: it wants the limit under its newer name. */
export function wantsNewerLimit({ status, body }: JsonAnswer): boolean {
  return status === 400 && /max_completion_tokens/.test(asText(errorObject(body).message) ?? '');
}

/** The OpenAI service takes only a part of JSON Schema as strict; others do not know the field. */
export function refusesStrictTools({ status, body }: JsonAnswer): boolean {
  const { code, message, detail } = errorObject(body);
  if (status !== 400 && status !== 422) return false;
  return code === 'invalid_function_parameters' || /\bstrict\b/i.test(JSON.stringify([message, detail]));
}

/** The template of the model takes no arguments, so it cannot be told about thinking. */
export function refusesTemplateSwitch({ status, body }: JsonAnswer): boolean {
  return status === 400 && /chat_template.* not supported/i.test(asText(errorObject(body).message) ?? '');
}

export function modelMissing(model: string, cause?: unknown): ServingError {
  const message = `The backend does not serve the model ${JSON.stringify(model)}. Its /v1/models lists those it does.`;
  return new ServingError('model_not_found', { message, cause });
}

function fieldOf(error: Loose, request: GenerationRequest | undefined): string | undefined {
  const root = /^[^.[]*/.exec(asText(error.param) ?? '')?.[0] ?? '';
  if (Object.hasOwn(OUR_NAMES, root)) return OUR_NAMES[root];
  const words = asText(error.message);
  if (request === undefined || words === undefined) return undefined;
  for (const [feature, pattern] of SPOKEN_OF) {
    const field = FEATURES[feature].askedBy(request);
    if (field !== undefined && pattern.test(words)) return field;
  }
  return undefined;
}

function busy(refused: { words: string | undefined; cause: Error; seconds: number }): ServingError {
  const loading = /\bloading\b/i.test(refused.words ?? '');
  const message = loading
    ? 'The model is still loading.'
    : 'The model’s backend is overloaded. Try again shortly.';
  return new ServingError(loading ? 'model_loading' : 'no_backend_available', {
    message,
    retryAfterSeconds: refused.seconds,
    cause: refused.cause,
  });
}

function routeMissing(cause: Error): ServingError {
  return new ServingError('backend_error', {
    message: 'The model’s backend lacks the route that this request needs.',
    cause,
  });
}
