/** What the answers of chats and text completions have in common: id, time and model, the usage, the chunks of a stream. */
import { Type } from 'typebox';
import type { GenerationRequest, RequestId, Usage } from '../../core/generation.ts';
import { timingsText } from '../../core/request-trace.ts';
import type { AnswerContext } from '../protocol.ts';
import { modelOf } from '../rendering.ts';

export const headFields = {
  id: Type.String(),
  created: Type.Integer({ description: 'Seconds since 1970; the same in all chunks of a stream.' }),
  model: Type.String({
    description: 'The id of the model that answers, also where the request named an alias.',
  }),
};

export const finishReason = Type.Enum(['stop', 'length', 'tool_calls', 'content_filter']);

interface CompletionHead {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
}

/** `requests`: one for each choice; the first gives the id, `gen_…` as `chatcmpl-…`. */
export function completionHead(
  [first]: readonly GenerationRequest[],
  { prefix, object }: { readonly prefix: string; readonly object: string },
  answer: AnswerContext,
): CompletionHead {
  if (first === undefined) throw new Error('an answer to no request');
  return {
    id: completionId(prefix, first.id),
    object,
    created: Math.floor(answer.createdAt / 1000),
    model: modelOf(first.model, answer),
  };
}

function completionId(prefix: string, id: RequestId): string {
  return `${prefix}-${id.slice(id.indexOf('_') + 1)}`;
}

const none = Type.Literal(0, { description: 'There is none here.' });

export const UsageSchema = Type.Object({
  prompt_tokens: Type.Integer({ description: 'Once for each prompt, whatever n is.' }),
  completion_tokens: Type.Integer({ description: 'Of all choices together.' }),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({
    cached_tokens: Type.Integer({ description: 'Of the prompt, what had been computed before.' }),
    audio_tokens: none,
    cache_write_tokens: none,
  }),
  completion_tokens_details: Type.Object({
    reasoning_tokens: Type.Integer({
      description: 'Tokens of the reasoning; 0 where the backend does not count them apart.',
    }),
    audio_tokens: none,
    accepted_prediction_tokens: none,
    rejected_prediction_tokens: none,
  }),
});

/** `usages`: of all choices in their order; those for one prompt stand together. A prompt counts once. */
export function renderUsage(usages: readonly Usage[], choicesPerPrompt: number) {
  let promptTokens = 0;
  let cachedTokens = 0;
  let completionTokens = 0;
  let reasoningTokens = 0;
  for (let first = 0; first < usages.length; first += choicesPerPrompt) {
    const ofPrompt = usages.slice(first, first + choicesPerPrompt);
    promptTokens += Math.max(...ofPrompt.map((usage) => usage.promptTokens));
    // What the other choices found cached is what the first of them computed.
    cachedTokens += Math.min(...ofPrompt.map((usage) => usage.cachedTokens));
    for (const usage of ofPrompt) {
      completionTokens += usage.completionTokens;
      reasoningTokens += usage.reasoningTokens ?? 0;
    }
  }
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0, cache_write_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** Writes chunks: all that is the same in each of them is made into text once, with the first. */
export interface ChunkEncoder {
  /** `choice`: the text of a JSON object. */
  chunk(choice: string): string;
  /** The chunk that a choice ends with. Empty where it is the last of the stream: then it is written by `end`, with the timings. */
  finish(choice: string): string;
  /** The end of a stream that succeeded. */
  end(usages: readonly Usage[]): string;
}

interface ChunkOptions {
  readonly includeUsage: boolean;
  readonly choices: number;
  readonly choicesPerPrompt: number;
  readonly timings: AnswerContext['timings'];
}

const DONE = 'data: [DONE]\n\n';

export function chunkEncoder(
  headOf: () => CompletionHead,
  { includeUsage, choices, choicesPerPrompt, timings }: ChunkOptions,
): ChunkEncoder {
  let head: string | undefined;
  let unfinished = choices;
  let last = '';
  const before = () => {
    head ??= `data: ${JSON.stringify(headOf()).slice(0, -1)},"choices":[`;
    return head;
  };
  const after = includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
  const chunk = (choice: string) => before() + choice + after;
  return {
    chunk,
    finish: (choice) => {
      unfinished -= 1;
      if (includeUsage || unfinished > 0) return chunk(choice);
      last = choice;
      return '';
    },
    end: (usages) => {
      if (!includeUsage && last === '') return DONE;
      const usage = includeUsage ? `,"usage":${JSON.stringify(renderUsage(usages, choicesPerPrompt))}` : '';
      const times = timingsText(timings());
      return `${before()}${last}]${usage},"timings":${times}}\n\n${DONE}`;
    },
  };
}
