/** What Ollama's error responses and mid-stream errors mean for our client, by status and message. */
import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import { failureOfStatus, statusError } from '../../upstream/failures.ts';
import { asCount, asObject, asText, excerpt, isObject, type UntypedObject } from '../../upstream/untyped.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';

export interface ErrorContext {
  readonly model: string;
  readonly contextSize: number | undefined;
  readonly clock: Clock;
}

/** For a response whose status is not 200. */
export function responseError(answer: JsonResponse, context: ErrorContext): ServingError {
  const { status } = answer;
  const given = asText(asObject(answer.body).error);
  const inner = runnerError(given);
  const text = asText(inner?.message) ?? given;
  const shown = text && excerpt(text);
  const cause = new Error(`Ollama answered ${status}: ${shown ?? 'no reason given'}`);
  if (text !== undefined && isAboutContext(text)) return contextExceeded(context, cause, inner);
  if (status === 404 && text !== undefined) return modelNotFound(context.model, cause);
  const lacks = (ability: string) => text?.includes(`does not support ${ability}`) ?? false;
  if (lacks('thinking')) return thinkingUnsupported();
  if (lacks('tools')) return toolsUnsupported();
  if (lacks('embeddings')) return embeddingsUnsupported(cause);
  if (lacks('chat') || lacks('generate')) return generationUnsupported(cause);
  if (failureOfStatus(status) === undefined) {
    const message = `The model’s backend rejected the request: ${shown ?? 'it gave no reason'}`;
    // Old releases read only plain tool schemas; their error names a field of their own.
    const param = /struct field \S*\btools?\.function/i.test(text ?? '') ? { param: 'tools' } : {};
    return new ServingError('invalid_request', { message, ...param, cause });
  }
  return statusError(answer, { wallNowMs: context.clock.wallNow(), cause });
}

/** A line `{"error":"…"}` after the 200 was sent. */
export function streamError(given: string, context: ErrorContext): ServingError {
  const inner = runnerError(given);
  const text = asText(inner?.message) ?? given;
  const cause = new Error(`Ollama failed mid-stream: ${excerpt(text)}`);
  if (isAboutContext(text)) return contextExceeded(context, cause, inner);
  return new ServingError('backend_error', {
    message: 'The model’s backend failed during the answer.',
    failure: 'cut',
    cause,
  });
}

/** Old releases silently cut a long prompt; only the count in the last line reveals it. */
export function promptTruncated(promptTokens: number, contextSize: number): ServingError {
  return new ServingError('context_length_exceeded', {
    message: `The prompt has ${promptTokens} tokens or more, but the model’s context holds ${contextSize}. Shorten the prompt.`,
  });
}

export function modelNotFound(model: string, cause?: unknown): ServingError {
  const message = `The backend does not have the model ${JSON.stringify(model)}. Download it there: ollama pull ${model}`;
  return new ServingError('model_not_found', { message, cause });
}

/** That a client's `think` is off has no effect. */
export function cannotStopThinking(who: string): ServingError {
  return unsupported('think', `${who} where it is off`, { advice: 'Remove it.' });
}

export function thinkingUnsupported(): ServingError {
  return unsupported('think', 'this model');
}

export function toolsUnsupported(): ServingError {
  return unsupported('tools', 'this model');
}

export function imagesUnsupported(field: string): ServingError {
  return unsupported(field, 'this model', { advice: 'Use a model that can read images.' });
}

export function logprobsUnsupported(): ServingError {
  return unsupported('logprobs', 'the release of Ollama that serves this model');
}

/** The model only embeds. */
export function isEmbeddingModel({ status, body }: JsonResponse): boolean {
  return status === 400 && (asText(asObject(body).error)?.includes('does not support generate') ?? false);
}

function generationUnsupported(cause: Error): ServingError {
  const message = 'This model only computes embeddings. Use a model that generates text.';
  return new ServingError('invalid_request', { message, param: 'model', failure: 'unsupported', cause });
}

function embeddingsUnsupported(cause: Error): ServingError {
  const message = 'This model does not compute embeddings. Use one that does, such as nomic-embed-text.';
  return new ServingError('invalid_request', { message, param: 'model', failure: 'unsupported', cause });
}

function isAboutContext(text: string): boolean {
  return /(exceeds?|longer than) the (available |maximum )?context (length|size|window)|exceed_context_size|input length exceeds/i.test(
    text,
  );
}

/** Since 0.30 the server passes on its runner's response, as JSON in a string. */
function runnerError(given: string | undefined): UntypedObject | undefined {
  if (!given?.startsWith('{')) return undefined;
  try {
    const { error } = asObject(JSON.parse(given));
    return isObject(error) ? error : undefined;
  } catch {
    return undefined;
  }
}

function contextExceeded(
  context: ErrorContext,
  cause: Error,
  inner: UntypedObject | undefined,
): ServingError {
  const contextSize = asCount(inner?.n_ctx) ?? context.contextSize;
  const promptTokens = asCount(inner?.n_prompt_tokens);
  if (promptTokens !== undefined && contextSize !== undefined) {
    const message = `The prompt has ${promptTokens} tokens, but the model’s context holds ${contextSize}. Shorten the prompt.`;
    return new ServingError('context_length_exceeded', { message, cause });
  }
  const holds = contextSize === undefined ? '' : ` of ${contextSize} tokens`;
  const message = `The prompt is longer than the model’s context${holds}. Shorten the prompt.`;
  return new ServingError('context_length_exceeded', { message, cause });
}
