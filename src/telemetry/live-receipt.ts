/** What the live feed shows of a request that has ended. Nothing of its prompt or its answer, no key, no address. */
import type { Milliseconds } from '../core/clock.ts';
import type { LiveAttempt, LiveReceipt } from '../core/live-snapshot.ts';
import { type Attempt, type RequestRecord, timingsOf, wireTimings } from '../core/request-trace.ts';

export interface ReceiptContext {
  /** Added to a time of the clock: the time since the Unix epoch. */
  readonly offsetMs: Milliseconds;
  readonly clientName: (client: string) => string;
}

export function receiptOf(record: RequestRecord, { offsetMs, clientName }: ReceiptContext): LiveReceipt {
  const { route, status, trace, endedAt } = record;
  const { model, usage, client = record.clientAddress } = trace;
  const at = (time: Milliseconds) => Math.round((time + offsetMs) * 10) / 10;
  return {
    request_id: trace.requestId,
    route,
    status,
    model: model ?? null,
    served_model: trace.servedModel ?? null,
    priority: trace.priority ?? null,
    client: clientName(client),
    received_at_ms: at(trace.receivedAt),
    ended_at_ms: at(endedAt),
    error_code: trace.errorCode ?? null,
    finish_reason: trace.finishReason ?? null,
    prompt_tokens: usage?.promptTokens ?? null,
    cached_tokens: usage?.cachedTokens ?? null,
    completion_tokens: usage?.completionTokens ?? null,
    timings: model === undefined ? null : wireTimings(timingsOf(trace, endedAt)),
    attempts: (trace.attempts ?? []).map((attempt) => attemptOf(attempt, at)),
  };
}

function attemptOf(attempt: Attempt, at: (time: Milliseconds) => Milliseconds): LiveAttempt {
  const { target, slot, model, kind, batch, enqueuedAt, startedAt, firstTokenAt, endedAt, outcome } = attempt;
  return {
    target,
    slot,
    model,
    kind: kind ?? null,
    batch,
    enqueued_at_ms: at(enqueuedAt),
    started_at_ms: at(startedAt),
    first_token_at_ms: firstTokenAt === undefined ? null : at(firstTokenAt),
    ended_at_ms: endedAt === undefined ? null : at(endedAt),
    outcome: outcome ?? null,
  };
}
