/** Answers of /api/chat and /api/generate, whole or in lines; and the one to a request that asks nothing. */
import type { GenerationRequest } from '../../core/generation.ts';
import type { GenerationResult } from '../../core/generation-result.ts';
import type { AnswerContext, AnswerRenderer, ParsedGeneration } from '../generation-route.ts';
import type { AnswerForm } from './answer-form.ts';
import { doneReasonOf, LineEncoder } from './line-encoder.ts';
import { asksToUnload, droppedFields } from './options.ts';
import { renderLogprobs } from './render-logprobs.ts';
import { renderCalls } from './render-tool-calls.ts';
import { metricsOf, timeOf } from './timings.ts';

type LoadOnlyBody = Parameters<typeof droppedFields>[0];

export interface AnswerStyle {
  readonly form: AnswerForm;
  /** As the client named it. */
  readonly model: string;
}

export function ollamaRenderer(style: AnswerStyle, { logprobs }: GenerationRequest): AnswerRenderer {
  const withLogprobs = logprobs !== undefined;
  return {
    whole: ([result], answer) => renderWhole(style, result as GenerationResult, { answer, withLogprobs }),
    stream: (answer) => new LineEncoder({ ...style, answer, withLogprobs }),
  };
}

/**
 * Without a prompt a request only asks for the model to be loaded, or (with keep_alive 0) not to be. Both are the
 * configuration's business, as others use the model too: the answer is Ollama's own, in one body whatever `stream` says, and
 * nothing is loaded or unloaded for it. Clients that free memory this way go on without an error.
 */
export function loadOnlyAnswer({ form, model }: AnswerStyle, body: LoadOnlyBody): ParsedGeneration {
  const reason = asksToUnload(body.keep_alive) ? 'unload' : 'load';
  return {
    requests: [],
    ...droppedFields(body),
    delivery: 'whole',
    timeoutMs: undefined,
    priority: undefined,
    renderer: {
      whole: (_, { createdAt }) => ({
        model,
        created_at: timeOf(createdAt),
        ...form.content({ text: '' }),
        done: true,
        done_reason: reason,
      }),
      stream: (answer) => new LineEncoder({ form, model, answer, withLogprobs: false }),
    },
  };
}

function renderWhole(
  { form, model }: AnswerStyle,
  { text, reasoning, toolCalls, logprobs, finishReason, usage }: GenerationResult,
  { answer, withLogprobs }: { readonly answer: AnswerContext; readonly withLogprobs: boolean },
): unknown {
  const indexed = toolCalls.map((call, index) => ({ ...call, index }));
  return {
    model,
    created_at: timeOf(answer.createdAt),
    ...form.content({ text, thinking: reasoning, calls: renderCalls(indexed, finishReason) }),
    done: true,
    ...form.end(
      { done_reason: doneReasonOf(finishReason) },
      metricsOf(usage, answer),
      withLogprobs ? { logprobs: renderLogprobs(logprobs) } : {},
    ),
  };
}
