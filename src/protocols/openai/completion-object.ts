/** What all answers and all chunks of one request have in common: id, time, model. */

import { Type } from 'typebox';
import type { GenerationRequest, RequestId, Usage } from '../../core/generation.ts';
import type { AnswerContext } from '../protocol.ts';

export const headFields = {
  id: Type.String(),
  created: Type.Integer({ description: 'Seconds since 1970; the same in all chunks of a stream.' }),
  model: Type.String({ description: 'The id of the model, also where an alias was asked.' }),
};

export const finishReason = Type.Enum(['stop', 'length', 'tool_calls', 'content_filter']);

/** `gen_…` as clients of this API know it: `chatcmpl-…`. */
function completionId(prefix: string, id: RequestId): string {
  return `${prefix}-${id.slice(id.indexOf('_') + 1)}`;
}

interface CompletionHead {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
}

/** `answers`: of which requests; the first gives its id. */
export function completionHead(
  [first]: readonly GenerationRequest[],
  { prefix, object }: { readonly prefix: string; readonly object: string },
  { createdAt }: AnswerContext,
): CompletionHead {
  if (first === undefined) throw new Error('an answer to no request');
  const created = Math.floor(createdAt / 1000);
  return { id: completionId(prefix, first.id), object, created, model: first.model };
}

/** Writes chunks: all that is the same in each of them is made into text once. */
interface ChunkEncoder {
  /** `choice`: the text of a JSON object. */
  chunk(choice: string): string;
  /** The end of a stream that succeeded. */
  end(usages: readonly Usage[]): string;
}

export function chunkEncoder(
  head: CompletionHead,
  { includeUsage, answersPerPrompt }: { readonly includeUsage: boolean; readonly answersPerPrompt: number },
): ChunkEncoder {
  const before = `data: ${JSON.stringify(head).slice(0, -1)},"choices":[`;
  const after = includeUsage ? '],"usage":null}\n\n' : ']}\n\n';
  return {
    chunk: (choice) => before + choice + after,
    end: (usages) => {
      const usage = includeUsage
        ? `${before}],"usage":${JSON.stringify(renderUsage(usages, answersPerPrompt))}}\n\n`
        : '';
      return `${usage}data: [DONE]\n\n`;
    },
  };
}

/** Usage as OpenAI tells it: a prompt counts once, however many answers it was given. */

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
      description: 'Thoughts; 0 where the backend does not count them apart.',
    }),
    audio_tokens: none,
    accepted_prediction_tokens: none,
    rejected_prediction_tokens: none,
  }),
});

/** Of all answers in their order; those to one prompt stand together. */
export function renderUsage(usages: readonly Usage[], answersPerPrompt: number) {
  let promptTokens = 0;
  let cachedTokens = 0;
  let completionTokens = 0;
  let reasoningTokens = 0;
  for (let first = 0; first < usages.length; first += answersPerPrompt) {
    const ofPrompt = usages.slice(first, first + answersPerPrompt);
    promptTokens += Math.max(...ofPrompt.map((usage) => usage.promptTokens));
    // What the other answers found cached is what the first of them computed.
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
