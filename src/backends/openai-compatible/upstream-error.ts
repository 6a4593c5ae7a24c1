/** What the refusals of OpenAI-compatible servers mean for our client, by status and words. */
import { ServingError } from '../../core/errors.ts';
import { asText } from '../../upstream/lenient.ts';
import { retryAfterSeconds } from '../../upstream/retry-after.ts';
import type { JsonAnswer } from '../../upstream/upstream.ts';
import { contextErrorOf, contextExceeded, errorObject } from './context-error.ts';

/** Fields whose name in these servers' errors is also ours, or what ours is called. */
const OUR_NAMES: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_p: 'top_p',
  top_k: 'top_k',
  min_p: 'min_p',
  seed: 'seed',
  stop: 'stop',
  max_tokens: 'max_tokens',
  presence_penalty: 'presence_penalty',
  frequency_penalty: 'frequency_penalty',
  repetition_penalty: 'repeat_penalty',
  repeat_penalty: 'repeat_penalty',
  reasoning_effort: 'think',
};

/** An answer whose status is not 200. */
export function refusal(
  answer: JsonAnswer,
  about: { readonly model: string; readonly wallNowMs: number },
): ServingError {
  const { status, body } = answer;
  const error = errorObject(body);
  const words = asText(error.message) ?? asText(error.detail);
  const cause = new Error(`The server answered ${status}: ${words ?? 'no reason given'}`);
  const contextError = status < 500 ? contextErrorOf(body) : undefined;
  if (contextError !== undefined) return contextExceeded(contextError, cause);
  switch (status) {
    case 400:
    case 413:
    case 422: {
      const param = OUR_NAMES[asText(error.param) ?? ''];
      const message = `The model’s backend refused the request: ${words ?? 'it gave no reason'}`;
      return new ServingError('invalid_request', {
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

/** An error that came as a chunk after the 200 was sent. */
export function streamFailure(body: unknown): ServingError {
  const cause = new Error(
    `The server failed mid-stream: ${asText(errorObject(body).message) ?? 'no reason given'}`,
  );
  const contextError = contextErrorOf(body);
  if (contextError !== undefined) return contextExceeded(contextError, cause);
  return new ServingError('backend_error', {
    message: 'The model’s backend failed during the answer.',
    cause,
  });
}

/** The template of the model takes no arguments, so it cannot be told about thinking. */
export function refusesTemplateSwitch({ status, body }: JsonAnswer): boolean {
  return status === 400 && /chat_template.* not supported/i.test(asText(errorObject(body).message) ?? '');
}

export function modelMissing(model: string, cause?: unknown): ServingError {
  const message = `The backend does not serve the model ${JSON.stringify(model)}. Its /v1/models lists those it does.`;
  return new ServingError('model_not_found', { message, cause });
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
