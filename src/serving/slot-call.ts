/**
 * What generations and embeddings have in common: a call that waits for a slot, and gets one or an error.
 * What follows the grant is in slot-end.ts.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import type { GenerationRequest, ModelId } from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { QueuePlace, Receipt } from '../core/receipt.ts';
import type { PrefixFingerprint } from '../scheduling/prefix-fingerprint.ts';
import type { Dispatcher, Grant } from './dispatcher.ts';
import type { PromptSize } from './prompt-size.ts';

export interface SlotCall {
  /** What the queue has to know of it, whatever it asks of the model. */
  readonly request: Pick<GenerationRequest, 'model' | 'limits'>;
  readonly receipt: Receipt;
  /** Whoever shares the slots with others; opaque. */
  readonly client: string;
  readonly priority: Priority;
  /** The request's one cancellation; aborted with a ServingError as its reason. */
  readonly cancellation: AbortController;
  /** What it takes up in memory while it waits, where that is more than its prompt: its body as it came. */
  readonly heldBytes?: number;
  /** When the answer must be finished. */
  readonly deadlineAt: Milliseconds;
  /** Told where the request stands while it waits, and 0 when it leaves the queue. */
  readonly onPlace?: ((place: QueuePlace) => void) | undefined;
}

export interface SlotServices {
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  readonly queueTimeoutMs: Milliseconds;
  /** None of the model's targets has it. */
  isMissing(model: ModelId): boolean;
}

export interface Demand {
  readonly promptSize: PromptSize;
  /** What the prompt begins with, where that matters to the slots. */
  readonly prefix: PrefixFingerprint | undefined;
}

export async function waitForSlot(
  call: SlotCall,
  { promptSize, prefix }: Demand,
  { clock, dispatcher, queueTimeoutMs, isMissing }: SlotServices,
): Promise<Grant> {
  const { request, receipt, cancellation, deadlineAt } = call;
  receipt.model = request.model;
  receipt.priority = call.priority;
  receipt.enqueuedAt = clock.now();
  const { maxTokens, maxTokensIsDefault = false } = request.limits;
  const acquired = dispatcher.acquire({
    entry: {
      id: dispatcher.newEntryId(),
      model: request.model,
      client: call.client,
      priority: call.priority,
      promptTokens: promptSize.tokens,
      maxTokens,
      maxTokensIsDefault,
      prefix,
      sizeBytes: Math.max(promptSize.bytes, call.heldBytes ?? 0),
      expiresAt: Math.min(receipt.enqueuedAt + queueTimeoutMs, deadlineAt),
      deadlineAt,
    },
    signal: cancellation.signal,
    onPlace: call.onPlace,
  });
  const grant = await acquired.catch((thrown: unknown) => {
    const isDown = toServingError(thrown).code === 'no_backend_available';
    throw isDown && isMissing(request.model) ? missingAtBackends(request.model) : thrown;
  });
  receipt.dispatchedAt = clock.now();
  receipt.batch = grant.batch;
  receipt.target = grant.target;
  return grant;
}

/** Trying again is of no use: somebody has to fetch it, or to name another. */
function missingAtBackends(model: ModelId): ServingError {
  return new ServingError('model_not_found', {
    message: `No backend has the model that ${JSON.stringify(model)} stands for. GET /ready says which were asked; fetch the model there.`,
    param: 'model',
  });
}

/** `advice`: what helps next time. */
export function deadlineError(advice = 'Ask for fewer tokens or allow more time.'): ServingError {
  return new ServingError('deadline_exceeded', {
    message: `The answer was not finished before the request’s time ran out. ${advice}`,
  });
}
