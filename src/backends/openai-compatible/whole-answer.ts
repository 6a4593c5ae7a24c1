/**
 * Answers that are asked for in one piece, which costs a server less than a stream: which requests may be, and the events of
 * one. Pure.
 */
import { ServingError } from '../../core/errors.ts';
import type { GenerationEvent, GenerationRequest } from '../../core/generation.ts';
import { asArray, asObject, asText } from '../../upstream/lenient.ts';
import { checkReason, reasonOf, usageOf } from './answer-end.ts';
import { streamFailure } from './upstream-error.ts';

/**
 * Log-probabilities and calls stay streamed: servers tell less of them in whole answers (bytes of half characters, the
 * order of text and calls, which call was cut).
 */
export function mayBeWhole({ logprobs, tools }: GenerationRequest): boolean {
  return logprobs === undefined && tools === undefined;
}

export interface WholeAnswer {
  readonly events: readonly GenerationEvent[];
  /** The server does what a stream would not let it: it tells no usage, or goes on beyond max_tokens. */
  readonly isWorse: boolean;
}

/** Without usage, a token is taken for so many characters. */
const CHARACTERS_PER_TOKEN = 4;

/** `maxTokens`: of the answer; what exceeds it is cut where it would be if all its tokens were of one length. */
export function readWholeAnswer(body: unknown, maxTokens = Number.POSITIVE_INFINITY): WholeAnswer {
  const { choices, usage: told, error } = asObject(body);
  if (body === undefined) throw failed('answered something that is not JSON');
  if (error !== undefined && error !== null) throw streamFailure(body);
  const choice = asObject(asArray(choices)[0]);
  const given = asText(choice.finish_reason);
  if (given === undefined) throw failed('ended its answer before it was complete');
  checkReason(given);
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
        reason: kept < 1 ? 'length' : reasonOf(given, false),
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

function failed(what: string): ServingError {
  return new ServingError('backend_error', { message: `The model’s backend ${what}.` });
}
