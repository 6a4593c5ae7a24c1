/**
 * Answers in one piece: generations that are not streamed, which costs the server less, and embeddings. With the finish reason and
 * the usage, as streams have them too. Pure.
 */
import type { EmbeddingRequest, Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import type { FailureCause } from '../../core/failure.ts';
import type { FinishReason, GenerationEvent, GenerationRequest, Usage } from '../../core/generation.ts';
import { asArray, asCount, asObject, asText, asVectors } from '../../upstream/untyped.ts';
import { readContent } from './content-parts.ts';
import { fixedDimensions, streamError } from './errors.ts';

/**
 * Log-probabilities and calls stay streamed: whole answers contain less of them (bytes of half characters, the order of text and
 * calls, which call was cut).
 */
export function canBeWhole({ logprobs, tools }: GenerationRequest): boolean {
  return logprobs === undefined && tools === undefined;
}

interface WholeAnswer {
  readonly events: readonly GenerationEvent[];
  /** Worse than a stream would be: the server reports no usage, or exceeds max_tokens. */
  readonly isDegraded: boolean;
}

/** An estimate, if the usage is missing. */
const CHARACTERS_PER_TOKEN = 4;

/** An answer beyond `maxTokens` is cut as if all its tokens were of one length. */
export function readWholeAnswer(body: unknown, maxTokens = Number.POSITIVE_INFINITY): WholeAnswer {
  const { choices, usage: reported, error } = asObject(body);
  if (body === undefined) throw brokenAnswer('garbage', 'answered something that is not JSON');
  if (error !== undefined && error !== null) throw streamError(body);
  const choice = asObject(asArray(choices)[0]);
  const given = asText(choice.finish_reason);
  if (given === undefined) throw brokenAnswer('cut', 'ended its answer before it was complete');
  rejectFailedReason(given);
  const message = asObject(choice.message);
  const { text: told, reasoning: thought } = readContent(message.content);
  const thinking = asText(message.reasoning_content) ?? asText(message.reasoning) ?? thought ?? '';
  const content = told ?? asText(choice.text) ?? asText(message.refusal) ?? '';
  const usage = usageOf(reported) ?? {
    promptTokens: 0,
    completionTokens: Math.ceil((thinking.length + content.length) / CHARACTERS_PER_TOKEN),
    cachedTokens: 0,
  };
  const kept = Math.min(1, maxTokens / usage.completionTokens);
  const characters =
    kept < 1 ? Math.floor((thinking.length + content.length) * kept) : Number.POSITIVE_INFINITY;
  const reasoning = cutTo(thinking, characters);
  const text = cutTo(content, characters - reasoning.length);
  const { promptTokens, cachedTokens, reasoningTokens } = usage;
  const completionTokens = Math.min(usage.completionTokens, maxTokens);
  const stop = kept < 1 ? undefined : asText(choice.stop_reason);
  return {
    isDegraded: kept < 1 || usageOf(reported) === undefined,
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

/** Never within a character, nor within a word that has just begun. */
function cutTo(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const kept = text.slice(0, characters).replace(/[\uD800-\uDBFF]$/, '');
  return /\s/.test(text.charAt(kept.length)) ? kept : kept.replace(/\s+\S{0,16}$/, '');
}

function brokenAnswer(failure: FailureCause, what: string): ServingError {
  return new ServingError('backend_error', { message: `The model’s backend ${what}.`, failure });
}

const FAILED_REASONS = ['abort', 'error'];

/** The server gave up. */
export function rejectFailedReason(reason: string): void {
  if (FAILED_REASONS.includes(reason)) throw streamError({ message: `finish_reason ${reason}` });
}

/** Servers send "stop" if calls ended the answer, and have names of their own for its natural end. */
export function finishReasonOf(reason: string, called: boolean): FinishReason {
  if (reason === 'length' || reason === 'content_filter') return reason;
  return called ? 'tool_calls' : 'stop';
}

/** Undefined if the server reports none. */
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

/** In the order of `index`, if given. Whether vectors have length 1 is up to the server; most do. */
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
    entries.map(({ embedding }) => (typeof embedding === 'string' ? decodedFloats(embedding) : embedding)),
    inputs.length,
  );
  // Some servers ignore the field.
  if (dimensions !== undefined && vectors.some(({ length }) => length !== dimensions))
    throw fixedDimensions();
  return { vectors, promptTokens: asCount(asObject(usage).prompt_tokens) ?? 0 };
}

/** 32-bit floats, little-endian, in base64; some servers answer numbers even if asked for it. */
function decodedFloats(text: string): readonly number[] | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % 4 !== 0) return undefined;
  return Array.from({ length: bytes.length / 4 }, (_, place) => bytes.readFloatLE(place * 4));
}
