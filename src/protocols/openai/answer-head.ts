/** What all answers and all chunks of one request have in common: id, time, model. */
import { Type } from 'typebox';
import type { GenerationRequest, RequestId } from '../../core/generation.ts';
import type { Usage } from '../../core/usage.ts';
import type { AnswerContext } from '../generation-route.ts';
import { renderUsage } from './usage.ts';

export const headFields = {
  id: Type.String(),
  created: Type.Integer({ description: 'Seconds since 1970; the same in all chunks of a stream.' }),
  model: Type.String({ description: 'The id of the model, also where an alias was asked.' }),
};

export const finishReason = Type.Enum(['stop', 'length', 'tool_calls', 'content_filter']);

/** `gen_…` as clients of this API know it: `chatcmpl-…`. */
export function answerId(prefix: string, id: RequestId): string {
  return `${prefix}-${id.slice(id.indexOf('_') + 1)}`;
}

export interface AnswerHead {
  readonly id: string;
  readonly object: string;
  readonly created: number;
  readonly model: string;
}

/** `answers`: of which requests; the first gives its id. */
export function answerHead(
  [first]: readonly GenerationRequest[],
  { prefix, object }: { readonly prefix: string; readonly object: string },
  { createdAt }: AnswerContext,
): AnswerHead {
  if (first === undefined) throw new Error('an answer to no request');
  const created = Math.floor(createdAt / 1000);
  return { id: answerId(prefix, first.id), object, created, model: first.model };
}

/** Writes chunks: all that is the same in each of them is made into text once. */
export interface ChunkFrame {
  /** `choice`: the text of a JSON object. */
  chunk(choice: string): string;
  /** The end of a stream that succeeded. */
  end(usages: readonly Usage[]): string;
}

export function chunkFrame(
  head: AnswerHead,
  { includeUsage, answersPerPrompt }: { readonly includeUsage: boolean; readonly answersPerPrompt: number },
): ChunkFrame {
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
