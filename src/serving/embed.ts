/**
 * The way of one embedding request: it waits in the same queue as generations and takes a slot like one, with a prompt
 * and no answer. Invariant: a slot that was granted is released exactly once, on every path.
 */
import type { EmbeddingRequest, Embeddings } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Outcome, Settlement } from '../scheduling/decision.ts';
import type { GenerationServices } from './generate.ts';
import { embeddingSizeOf } from './prompt-size.ts';
import { deadlineError, type SlotCall, waitForSlot } from './slot-call.ts';
import { causeOfEnd, isBackendFault, releaseWhenFree } from './slot-end.ts';

export type EmbeddingCall = Omit<SlotCall, 'request' | 'onPlace'> & { readonly request: EmbeddingRequest };

/** So it is charged for what it sends, and teaches nobody how long answers are. */
const NO_ANSWER = { maxTokens: 0, stop: [] };

export async function embed(call: EmbeddingCall, services: GenerationServices): Promise<Embeddings> {
  const { request, receipt, cancellation, deadlineAt } = call;
  const { clock, findTarget, onBackendFailure } = services;
  const { signal } = cancellation;
  const size = embeddingSizeOf(request.inputs);
  const slotCall = { ...call, request: { model: request.model, limits: NO_ANSWER } };
  const grant = await waitForSlot(slotCall, { promptSize: size, prefix: undefined }, services);
  const target = findTarget(request.model, grant.target);
  const onDeadline = () => cancellation.abort(deadlineError('Send fewer inputs or allow more time.'));
  const deadline = clock.schedule(deadlineAt - clock.now(), onDeadline);
  let outcome: Outcome = 'cancelled';
  let promptTokens = 0;
  let running: Promise<Embeddings> | undefined;
  try {
    signal.throwIfAborted();
    if (!target.backend.embed) throw cannotEmbed(request.model);
    // By estimate until the backend tells the number.
    promptTokens = size.tokens;
    running = target.backend.embed(request, { signal });
    const embeddings = await unlessAborted(running, signal);
    // It ended by itself: nothing is held any more.
    running = undefined;
    outcome = 'completed';
    // 0 is what is told by servers that do not count.
    promptTokens = embeddings.promptTokens || promptTokens;
    receipt.usage = { promptTokens: embeddings.promptTokens, completionTokens: 0, cachedTokens: 0 };
    return embeddings;
  } catch (thrown) {
    const error = causeOfEnd(thrown, signal);
    if (!isBackendFault(error)) throw error;
    outcome = 'failed';
    onBackendFailure(target, error);
    throw error;
  } finally {
    deadline.cancel();
    const settlement: Settlement = {
      outcome,
      promptTokens,
      cachedTokens: 0,
      answerTokens: 0,
      firstTokenMs: undefined,
    };
    releaseWhenFree({ grant, settlement, free: running, clock });
  }
}

/** The caller hears of its own cancellation at once; the backend may take a moment to be free. */
function unlessAborted(running: Promise<Embeddings>, signal: AbortSignal): Promise<Embeddings> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    const settled = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort);
    running.then(resolve, reject).finally(settled);
  });
}

function cannotEmbed(model: ModelId): ServingError {
  return new ServingError('invalid_request', {
    message: `The model ${JSON.stringify(model)} does not embed. Name one whose backend makes embeddings.`,
    param: 'model',
  });
}
