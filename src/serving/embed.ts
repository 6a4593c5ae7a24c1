/** One embedding: it waits in the same queue as generations and takes a slot like one, with a prompt and no answer. */
import type { EmbeddingRequest, Embeddings } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import { embeddingSizeOf } from './prompt-size.ts';
import { type SlotCall, type SlotServices, withSlot } from './slot.ts';

export type EmbeddingCall = Omit<SlotCall, 'request' | 'onQueuePosition'> & {
  readonly request: EmbeddingRequest;
};

/** Charged for its prompt alone, and left out of what is learned about the length of answers. */
const NO_ANSWER = { maxTokens: 0, stop: [] };

export function embed(call: EmbeddingCall, services: SlotServices): Promise<Embeddings> {
  const { request, trace, cancellation } = call;
  const promptSize = embeddingSizeOf(request.inputs);
  const used = { promptTokens: 0, cachedTokens: 0, answerTokens: 0 };
  const slotCall = { ...call, request: { model: request.model, limits: NO_ANSWER } };
  return new Promise((resolve, reject) => {
    let abandon = (_reason: ServingError): void => {};
    withSlot(
      slotCall,
      {
        promptSize,
        prefix: undefined,
        used,
        deadlineAdvice: 'Send fewer inputs or allow more time.',
        start: ({ backend }, slot) => {
          if (!backend.embed) {
            slot.fail(cannotEmbed(request.model));
            return;
          }
          used.promptTokens = promptSize.tokens;
          const running = backend.embed(request, { signal: cancellation.signal });
          // The caller gets its error at once; the backend may take a moment to be free.
          abandon = (reason) => slot.fail(reason, running);
          running.then(
            (embeddings) => {
              if (slot.isOver) return;
              const { promptTokens } = embeddings;
              trace.usage = { promptTokens, completionTokens: 0, cachedTokens: 0 };
              // Servers that do not count report 0.
              used.promptTokens = promptTokens || promptSize.tokens;
              slot.complete();
              resolve(embeddings);
            },
            (thrown: unknown) => slot.fail(backendError(thrown)),
          );
        },
        cancel: (reason) => abandon(reason),
        failed: reject,
      },
      services,
    );
  });
}

function backendError(thrown: unknown): ServingError {
  return thrown instanceof ServingError ? thrown : new ServingError('backend_error', { cause: thrown });
}

function cannotEmbed(model: ModelId): ServingError {
  return new ServingError('invalid_request', {
    message: `The model ${JSON.stringify(model)} does not make embeddings. Use an embedding model.`,
    param: 'model',
  });
}
