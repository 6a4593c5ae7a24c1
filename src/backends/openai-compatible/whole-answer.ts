/**
 * Answers that are asked for in one piece, which costs a server less than a stream: which requests may be, and the events of
 * one. Pure.
 */

import type { EmbeddingRequest, Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import type { FinishReason, GenerationEvent, GenerationRequest, Usage } from '../../core/generation.ts';
import { asArray, asCount, asObject, asText, asVectors } from '../../upstream/untyped.ts';
import type { JsonResponse } from '../../upstream/upstream.ts';
import { errorObject, streamError } from './errors.ts';

/**
 * Log-probabilities and calls stay streamed: servers tell less of them in whole answers (bytes of half characters, the
 * order of text and calls, which call was cut).
 */
export function canBeWhole({ logprobs, tools }: GenerationRequest): boolean {
  return logprobs === undefined && tools === undefined;
}

interface WholeAnswer {
  readonly events: readonly GenerationEvent[];
  /** The server does what a stream would not let it: it tells no usage, or goes on beyond max_tokens. */
  readonly isWorse: boolean;
}

/** Without usage, a token is taken for so many characters. */
const CHARACTERS_PER_TOKEN = 4;

/** `maxTokens`: of the answer; what exceeds it is cut where it would be if all its tokens were of one length. */
export function readWholeAnswer(body: unknown, maxTokens = Number.POSITIVE_INFINITY): WholeAnswer {
  const { choices, usage: told, error } = asObject(body);
  if (body === undefined) throw brokenAnswer('answered something that is not JSON');
  if (error !== undefined && error !== null) throw streamError(body);
  const choice = asObject(asArray(choices)[0]);
  const given = asText(choice.finish_reason);
  if (given === undefined) throw brokenAnswer('ended its answer before it was complete');
  rejectFailedReason(given);
  const message = asObject(choice.message);
  const thoughts = asText(message.reasoning_content) ?? asText(message.reasoning) ?? '';
  const said = asText(message.content) ?? asText(choice.text) ?? asText(message.refusal) ?? '';
  const usage = usageOf(told) ?? {
    promptTokens: 0,
    completionTokens: Math.ceil((thoughts.length + said.length) / CHARACTERS_PER_TOKEN),
    cachedTokens: 0,
  };
  const kept = Math.min(1, maxTokens / usage.completionTokens);
  const characters = kept < 1 ? Math.floor((thoughts.length + said.length) * kept) : Number.POSITIVE_INFINITY;
  const reasoning = cutTo(thoughts, characters);
  const text = cutTo(said, characters - reasoning.length);
  const { promptTokens, cachedTokens, reasoningTokens } = usage;
  const completionTokens = Math.min(usage.completionTokens, maxTokens);
  const stop = kept < 1 ? undefined : asText(choice.stop_reason);
  return {
    isWorse: kept < 1 || usageOf(told) === undefined,
    events: [
      { type: 'start', promptTokens, cachedTokens },
      ...(reasoning === '' ? [] : [{ type: 'reasoning', text: reasoning } as const]),
      ...(text === '' ? [] : [{ type: 'text', text } as const]),
      {
        type: 'finish',
        reason: kept < 1 ? 'length' : finishReasonOf(given, false),
        ...(stop !== undefined && { matchedStop: stop }),
        usage: {
          ...usage,
          completionTokens,
          ...(reasoningTokens !== undefined && {
            reasoningTokens: Math.min(reasoningTokens, completionTokens),
          }),
        },
      },
    ],
  };
}

/** Never within a character, nor within a word where one has just begun. */
function cutTo(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const kept = text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, '');
  return /\s/.test(text.charAt(kept.length)) ? kept : kept.replace(/\s+\S{0,16}$/, '');
}

function brokenAnswer(what: string): ServingError {
  return new ServingError('backend_error', { message: `The model’s backend ${what}.` });
}

/** What streamed and whole answers end with: the reason and the usage. Pure. */

const FAILED_REASONS = ['abort', 'error'];

/** Throws for the reasons that are none: the server gave the answer up. */
export function rejectFailedReason(reason: string): void {
  if (FAILED_REASONS.includes(reason)) throw streamError({ message: `finish_reason ${reason}` });
}

/** Servers say "stop" where calls ended the answer, and have reasons of their own for its natural end. */
export function finishReasonOf(reason: string, called: boolean): FinishReason {
  if (reason === 'length' || reason === 'content_filter') return reason;
  return called ? 'tool_calls' : 'stop';
}

/** Undefined where the server tells none. */
export function usageOf(value: unknown): Usage | undefined {
  const usage = asObject(value);
  const promptTokens = asCount(usage.prompt_tokens);
  const completionTokens = asCount(usage.completion_tokens);
  if (promptTokens === undefined || completionTokens === undefined) return undefined;
  const cachedTokens = asCount(asObject(usage.prompt_tokens_details).cached_tokens) ?? 0;
  const reasoningTokens = asCount(asObject(usage.completion_tokens_details).reasoning_tokens);
  return {
    promptTokens,
    completionTokens,
    cachedTokens,
    ...(reasoningTokens !== undefined && { reasoningTokens }),
  };
}

/** Embeddings in the words of the OpenAI API. Whether vectors have length 1 is the server's choice; most see to it. Pure. */

export const EMBEDDINGS_PATH = '/v1/embeddings';

export function embedBody(
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
  model: string,
): Readonly<Record<string, unknown>> {
  return {
    model,
    input: inputs,
    encoding_format: 'float',
    ...(dimensions !== undefined && { dimensions }),
  };
}

/** The order is told by `index`, where it is given. */
export function readEmbeddings(
  body: unknown,
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
): Embeddings {
  const { data, usage } = asObject(body);
  const entries = asArray(data).map((entry, place) => {
    const { index, embedding } = asObject(entry);
    return { index: asCount(index) ?? place, embedding };
  });
  entries.sort((one, other) => one.index - other.index);
  const vectors = asVectors(
    entries.map(({ embedding }) => embedding),
    inputs.length,
  );
  // Some servers do not read the field.
  if (dimensions !== undefined && vectors.some(({ length }) => length !== dimensions))
    throw fixedDimensions();
  return { vectors, promptTokens: asCount(asObject(usage).prompt_tokens) ?? 0 };
}

/** The server says that the model's vectors cannot be cut. */
export function dimensionsUnsupported({ status, body }: JsonResponse): ServingError | undefined {
  const message = asText(errorObject(body).message) ?? '';
  return status === 400 && /does not support matryoshka/i.test(message) ? fixedDimensions() : undefined;
}

function fixedDimensions(): ServingError {
  return unsupported('dimensions', 'this model, whose vectors have one length', { advice: 'Leave it away.' });
}

/** The server has no such route, or has it for other models only. */
export function embeddingsUnsupported({ status, body }: JsonResponse): ServingError | undefined {
  const { message } = errorObject(body);
  const lacksRoute = status === 405 || status === 501 || (status === 404 && message === undefined);
  if (!lacksRoute && !/does not support embeddings/i.test(asText(message) ?? '')) return undefined;
  return new ServingError('invalid_request', {
    message: 'The server behind this model makes no embeddings of it. Name a model whose server does.',
    param: 'model',
    cause: new Error(`The server answered ${status}: ${asText(message) ?? 'no reason given'}`),
  });
}
