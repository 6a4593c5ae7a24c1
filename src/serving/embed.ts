/**
 * The way of one embedding request: it waits in the same queue as generations and takes a slot like one, with a prompt
 * and no answer.
 */
import type { EmbeddingRequest, Embeddings } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Outcome } from '../scheduling/decision.ts';
import { embeddingSizeOf, type PromptSize } from './prompt-size.ts';
import { isBackendFault, Slot, type SlotCall, type SlotHolder, type SlotServices } from './slot.ts';
import type { Target } from './targets.ts';

export type EmbeddingCall = Omit<SlotCall, 'request' | 'onQueuePosition'> & {
  readonly request: EmbeddingRequest;
};

interface Settle {
  resolve(embeddings: Embeddings): void;
  reject(error: ServingError): void;
}

/** So it is charged for what it sends, and teaches nobody how long answers are. */
const NO_ANSWER = { maxTokens: 0, stop: [] };

export function embed(call: EmbeddingCall, services: SlotServices): Promise<Embeddings> {
  return new Promise((resolve, reject) => {
    new ServedEmbedding(call, services, { resolve, reject }).start();
  });
}

class ServedEmbedding implements SlotHolder {
  readonly deadlineAdvice = 'Send fewer inputs or allow more time.';
  readonly #call: EmbeddingCall;
  readonly #services: SlotServices;
  readonly #settle: Settle;
  readonly #slot: Slot;
  readonly #size: PromptSize;
  #running: Promise<Embeddings> | undefined;
  #hasEnded = false;

  constructor(call: EmbeddingCall, services: SlotServices, settle: Settle) {
    const { request } = call;
    this.#call = call;
    this.#services = services;
    this.#settle = settle;
    this.#size = embeddingSizeOf(request.inputs);
    this.#slot = new Slot({ ...call, request: { model: request.model, limits: NO_ANSWER } }, this, services);
  }

  start(): void {
    this.#slot.waitFor({ promptSize: this.#size, prefix: undefined });
  }

  granted(target: Target): void {
    const { request, cancellation } = this.#call;
    if (!target.backend.embed) {
      this.#fail(cannotEmbed(request.model), 0);
      return;
    }
    this.#running = target.backend.embed(request, { signal: cancellation.signal });
    this.#running.then(
      (embeddings) => this.#succeed(embeddings),
      (thrown: unknown) => this.#failed(target, thrown),
    );
  }

  rejected(error: ServingError): void {
    this.#settle.reject(error);
  }

  /** The caller hears of it at once; the backend may take a moment to be free. */
  cancelled(reason: ServingError): void {
    this.#fail(reason, this.#size.tokens);
  }

  #succeed(embeddings: Embeddings): void {
    if (this.#hasEnded) return;
    this.#call.trace.usage = {
      promptTokens: embeddings.promptTokens,
      completionTokens: 0,
      cachedTokens: 0,
    };
    // 0 is what is told by servers that do not count.
    this.#end('completed', embeddings.promptTokens || this.#size.tokens);
    this.#settle.resolve(embeddings);
  }

  #failed(target: Target, thrown: unknown): void {
    if (this.#hasEnded) return;
    const error =
      thrown instanceof ServingError ? thrown : new ServingError('backend_error', { cause: thrown });
    if (isBackendFault(error)) this.#services.onBackendFailure(target, error);
    this.#fail(error, this.#size.tokens);
  }

  #fail(error: ServingError, promptTokens: number): void {
    if (this.#hasEnded) return;
    this.#end(isBackendFault(error) ? 'failed' : 'cancelled', promptTokens);
    this.#settle.reject(error);
  }

  #end(outcome: Outcome, promptTokens: number): void {
    this.#hasEnded = true;
    const settlement = { outcome, promptTokens, cachedTokens: 0, answerTokens: 0, firstTokenMs: undefined };
    // Of one that ended by itself nothing is held any more.
    this.#slot.release(settlement, outcome === 'completed' ? undefined : this.#running);
  }
}

function cannotEmbed(model: ModelId): ServingError {
  return new ServingError('invalid_request', {
    message: `The model ${JSON.stringify(model)} does not embed. Name one whose backend makes embeddings.`,
    param: 'model',
  });
}
