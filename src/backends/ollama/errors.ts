/** What Ollama's refusals and mid-stream errors mean, by its status and its words. */

import type { Clock } from '../../core/clock.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import {
  asCount,
  asObject,
  asText,
  excerpt,
  isObject,
  retryAfterSeconds,
  type UntypedObject,
} from '../../upstream/untyped.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';

export interface ErrorContext {
  readonly model: string;
  readonly contextSize: number | undefined;
  readonly clock: Clock;
}

/** An answer whose status is not 200. */
export function responseError(answer: JsonResponse, context: ErrorContext): ServingError {
  const { status } = answer;
  const told = asText(asObject(answer.body).error);
  const inner = runnerError(told);
  const words = asText(inner?.message) ?? told;
  const shown = words && excerpt(words);
  const cause = new Error(`Ollama answered ${status}: ${shown ?? 'no reason given'}`);
  if (words !== undefined && isAboutContext(words)) return contextExceeded(context, cause, inner);
  if (status === 404 && words !== undefined) return modelNotFound(context.model, cause);
  const lacks = (ability: string) => words?.includes(`does not support ${ability}`) ?? false;
  if (lacks('thinking')) return thinkingUnsupported();
  if (lacks('tools')) return toolsUnsupported();
  if (lacks('embeddings')) return embeddingsUnsupported(cause);
  if (lacks('chat') || lacks('generate')) return generationUnsupported(cause);
  if (status === 400) {
    const message = `The model’s backend refused the request: ${shown ?? 'it gave no reason'}`;
    // Old releases read only plain schemas of tools, and say so by the name of their own field.
    const param = /struct field \S*\btools?\.function/i.test(words ?? '') ? { param: 'tools' } : {};
    return new ServingError('invalid_request', { message, ...param, cause });
  }
  if (status === 429 || status === 503) {
    return new ServingError('no_backend_available', {
      message: 'The model’s backend is busy. Try again shortly.',
      retryAfterSeconds: retryAfterSeconds(answer.headers, context.clock.wallNow()),
      cause,
    });
  }
  return new ServingError('backend_error', { message: `The model’s backend answered ${status}.`, cause });
}

/** A line `{"error":"…"}` after the 200 was sent. */
export function streamError(told: string, context: ErrorContext): ServingError {
  const inner = runnerError(told);
  const words = asText(inner?.message) ?? told;
  const cause = new Error(`Ollama failed mid-stream: ${excerpt(words)}`);
  if (isAboutContext(words)) return contextExceeded(context, cause, inner);
  return new ServingError('backend_error', {
    message: 'The model’s backend failed during the answer.',
    cause,
  });
}

/** Old releases cut a long prompt silently; only the count in the last line tells. */
export function promptTruncated(promptTokens: number, contextSize: number): ServingError {
  return new ServingError('context_length_exceeded', {
    message: `The prompt has ${promptTokens} tokens or more, but the model’s context holds ${contextSize}. Shorten the prompt.`,
  });
}

export function modelNotFound(model: string, cause?: unknown): ServingError {
  const message = `The backend does not have the model ${JSON.stringify(model)}. Fetch it there with: ollama pull ${model}`;
  return new ServingError('model_not_found', { message, cause });
}

export function thinkingUnsupported(): ServingError {
  return unsupported('think', 'this model');
}

export function toolsUnsupported(): ServingError {
  return unsupported('tools', 'this model');
}

export function imagesUnsupported(field: string): ServingError {
  return unsupported(field, 'this model', { advice: 'Name a model that can see images.' });
}

export function logprobsUnsupported(): ServingError {
  return unsupported('logprobs', 'the release of Ollama that serves this model');
}

/** The model is one that embeds. */
export function isEmbeddingModel({ status, body }: JsonResponse): boolean {
  return status === 400 && (asText(asObject(body).error)?.includes('does not support generate') ?? false);
}

function generationUnsupported(cause: Error): ServingError {
  const message = 'This model only makes embeddings. Name one that generates.';
  return new ServingError('invalid_request', { message, param: 'model', cause });
}

function embeddingsUnsupported(cause: Error): ServingError {
  const message = 'This model makes no embeddings. Name one that does, such as nomic-embed-text.';
  return new ServingError('invalid_request', { message, param: 'model', cause });
}

function isAboutContext(words: string): boolean {
  return /(exceeds?|longer than) the (available |maximum )?context (length|size|window)|exceed_context_size|input length exceeds/i.test(
    words,
  );
}

/** Since 0.30 the server passes on what its runner answered, as a text of JSON. */
function runnerError(told: string | undefined): UntypedObject | undefined {
  if (!told?.startsWith('{')) return undefined;
  try {
    const { error } = asObject(JSON.parse(told));
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
