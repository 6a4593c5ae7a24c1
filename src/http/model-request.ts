/**
 * What every request has in common that asks something of a model: its wishes, its place among those under way, its one
 * cancellation. Invariant: that is aborted when the client leaves, and the request's end is counted exactly once.
 */
import { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type ErrorCode, ServingError, toServingError } from '../core/errors.ts';
import type { RequestId } from '../core/generation.ts';
import type { Receipt } from '../core/receipt.ts';
import { inWordsOf } from '../protocols/field-names.ts';
import type { RouteBase } from '../protocols/route-base.ts';
import type { GenerationCall } from '../serving/generate.ts';
import type { Serving } from '../serving/serving.ts';
import { type AddressRange, isInRanges } from './client-address.ts';
import type { RequestContext } from './context.ts';
import { newId } from './request-id.ts';
import { grantPriority, readWishes, type SchedulingWishes } from './scheduling-wishes.ts';

export interface ModelRequestOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly requestTimeoutMs: Milliseconds;
  /** Addresses that may ask for high priority. */
  readonly highPriorityClients: readonly AddressRange[];
}

export interface ModelRequest {
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
  readonly route: Pick<RouteBase, 'fieldNames'>;
  /** What its body wishes. */
  readonly wishes: SchedulingWishes;
}

/** On what terms serving takes it. */
export type ModelTerms = Omit<GenerationCall, 'request' | 'onPlace'>;

/** Runs it to its end, whatever that is. Throws what `run` throws, or `draining`. */
export async function runModelRequest<Answer>(
  { context, options, route, wishes: ofBody }: ModelRequest,
  run: (terms: ModelTerms) => Promise<Answer>,
): Promise<Answer> {
  const { receipt, clientAddress, clientId } = context;
  context.fieldNames = route.fieldNames;
  const { serving, clock } = options;
  const wishes = readWishes(context.request.headers, ofBody);
  const mayAskHigh = isInRanges(clientAddress, options.highPriorityClients);
  const { priority, headers } = grantPriority(wishes.priority, { mayAskHigh });
  for (const [name, value] of Object.entries(headers)) context.setHeader(name.toLowerCase(), value);
  const cancellation = new Cancellation();
  const leave = serving.drain.enter({ receipt, cancellation });
  const onClose = () => {
    if (!context.response.writableEnded) cancellation.cancel(new ServingError('client_gone'));
  };
  context.onClose(onClose);
  const timeoutMs = Math.min(wishes.timeoutMs ?? Number.POSITIVE_INFINITY, options.requestTimeoutMs);
  const deadlineAt = receipt.receivedAt + timeoutMs;
  try {
    // What was parsed is all that is needed of it; it may wait for long.
    context.body = undefined;
    const heldBytes = context.bodyBytes ?? 0;
    return await run({ receipt, client: clientId, priority, cancellation, deadlineAt, heldBytes });
  } catch (thrown) {
    const error = inWordsOf(route.fieldNames, toServingError(thrown));
    receipt.errorCode = error.code;
    if (CANCELLATIONS.has(error.code)) noteCancelPhase(receipt);
    throw error;
  } finally {
    receipt.endedAt ??= clock.now();
    context.offClose(onClose);
    leave();
  }
}

export function newModelRequestId(prefix: 'gen' | 'emb'): RequestId {
  return newId(prefix) as RequestId;
}

/** Ends that were somebody's decision, not the backend's failure. */
const CANCELLATIONS: ReadonlySet<ErrorCode> = new Set(['client_gone', 'deadline_exceeded', 'draining']);

function noteCancelPhase(receipt: Receipt): void {
  if (receipt.dispatchedAt === undefined) receipt.cancelPhase = 'queued';
  else receipt.cancelPhase = receipt.firstTokenAt === undefined ? 'waiting' : 'streaming';
}
