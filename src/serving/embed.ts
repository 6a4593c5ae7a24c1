/**
 * One embedding: it waits in the same queue as generations and takes a slot like one, with a prompt and no answer. It is whole, so it
 * can always be tried again.
 */
import type { Ability, EmbeddingRequest, Embeddings } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import { embeddingSizeOf } from './prompt-size.ts';
import { type NextTry, Retries } from './retries.ts';
import { type Slot, type SlotCall, type SlotServices, type SlotWork, withSlot } from './slot.ts';
import type { Target } from './targets.ts';

export type EmbeddingCall = Omit<SlotCall, 'request' | 'onQueuePosition'> & {
  readonly request: EmbeddingRequest;
};

/** Charged for its prompt alone, and left out of what is learned about the length of answers. */
const NO_ANSWER = { maxTokens: 0, stop: [] };
const NEEDS: readonly Ability[] = ['embed'];
const DEADLINE_ADVICE = 'Send fewer inputs or allow more time.';

export function embed(call: EmbeddingCall, services: SlotServices): Promise<Embeddings> {
  const { request } = call;
  const slotCall = { ...call, request: { model: request.model, limits: NO_ANSWER } };
  return new Promise((resolve, reject) => {
    let retries: Retries | undefined;
    const ended = {
      resolve,
      failed: (error: ServingError, target: Target | undefined) => {
        if (call.cancellation.reason !== undefined) {
          reject(error);
          return;
        }
        retries ??= new Retries(slotCall, services, {
          needs: NEEDS,
          isTiedToModel: request.inputs.some((input) => typeof input !== 'string'),
          deadlineAdvice: DEADLINE_ADVICE,
          again: attempt,
          fail: (failure) => {
            if (call.cancellation.reason === undefined) services.onRequestFailed(call.trace);
            reject(failure);
          },
        });
        retries.failed(error, target);
      },
    };
    const attempt = (next?: NextTry) => {
      const model = next?.model ?? request.model;
      const tried = model === request.model ? request : { ...request, model };
      const triedCall = { ...slotCall, request: { model, limits: NO_ANSWER } };
      withSlot(triedCall, new EmbeddingAttempt({ ...call, request: tried }, ended), services, next);
    };
    attempt();
  });
}

interface EmbeddingEnd {
  readonly resolve: (embeddings: Embeddings) => void;
  /** `target`: the one that failed it; undefined: it got no slot. */
  readonly failed: (error: ServingError, target: Target | undefined) => void;
}

class EmbeddingAttempt implements SlotWork {
  readonly promptSize;
  readonly prefix = undefined;
  readonly used = { promptTokens: 0, cachedTokens: 0, answerTokens: 0 };
  readonly hasBegun = false;
  readonly isCut = false;
  readonly firstTokenAt = undefined;
  readonly deadlineAdvice = DEADLINE_ADVICE;
  readonly #call: EmbeddingCall;
  readonly #end: EmbeddingEnd;
  #target: Target | undefined;
  #abandon = (_reason: ServingError): void => {};

  constructor(call: EmbeddingCall, end: EmbeddingEnd) {
    this.promptSize = embeddingSizeOf(call.request.inputs);
    this.#call = call;
    this.#end = end;
    this.#target = undefined;
  }

  start(target: Target, slot: Slot): void {
    const { request, trace, cancellation } = this.#call;
    const { backend } = target;
    this.#target = target;
    if (!backend.embed) {
      slot.fail(cannotEmbed(request.model));
      return;
    }
    this.used.promptTokens = this.promptSize.tokens;
    const running = backend.embed(request, { signal: cancellation.signal, along: slot.along });
    // The caller gets its error at once; the backend may take a moment to be free.
    this.#abandon = (reason) => slot.fail(reason, running);
    running.then(
      (embeddings) => {
        if (slot.isOver) return;
        const { promptTokens } = embeddings;
        trace.usage = { promptTokens, completionTokens: 0, cachedTokens: 0 };
        // Servers that do not count report 0.
        this.used.promptTokens = promptTokens || this.promptSize.tokens;
        slot.complete();
        this.#end.resolve(embeddings);
      },
      (thrown: unknown) => slot.fail(backendError(thrown)),
    );
  }

  cancel(reason: ServingError): void {
    this.#abandon(reason);
  }

  failed(error: ServingError): void {
    this.#end.failed(error, this.#target);
  }
}

function backendError(thrown: unknown): ServingError {
  if (thrown instanceof ServingError) return thrown;
  return new ServingError('backend_error', { failure: 'server_error', cause: thrown });
}

function cannotEmbed(model: ModelId): ServingError {
  return new ServingError('invalid_request', {
    message: `The model ${JSON.stringify(model)} does not make embeddings. Use an embedding model.`,
    param: 'model',
    failure: 'unsupported',
  });
}
