/** Recognizes the ways in which servers say that prompt and answer do not fit into the context, with their numbers. */
import { ServingError } from '../../core/errors.ts';
import { asCount, asObject, asText, type Loose } from '../../upstream/lenient.ts';

export interface ContextError {
  readonly contextSize?: number;
  readonly promptTokens?: number;
  /** `promptTokens` is what the server counted before it gave up counting. */
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

/** `body`: an error answer, or the chunk of a stream that carries one. */
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

/** The server names no number that shows that the prompt alone is too long. */
export function promptMayFit({ contextSize, promptTokens }: ContextError): boolean {
  return contextSize === undefined || promptTokens === undefined || promptTokens < contextSize;
}

/** What the context leaves after the prompt, where the server told both exactly. */
export function roomLeft({ contextSize, promptTokens, atLeast }: ContextError): number | undefined {
  if (atLeast || contextSize === undefined || promptTokens === undefined) return undefined;
  return promptTokens < contextSize ? contextSize - promptTokens : undefined;
}

export function contextExceeded(
  { contextSize, promptTokens, atLeast }: ContextError,
  cause: unknown,
): ServingError {
  const prompt =
    promptTokens === undefined ? 'is too long' : `has ${atLeast ? 'at least ' : ''}${promptTokens} tokens`;
  const size = contextSize === undefined ? 'is smaller' : `holds ${contextSize}`;
  const message = `The prompt ${prompt}, but the model’s context ${size}. Shorten the prompt.`;
  return new ServingError('context_length_exceeded', { message, cause });
}

/** Servers put their error into `error`, as an object or a text, or answer it bare. */
export function errorObject(body: unknown): Loose {
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
