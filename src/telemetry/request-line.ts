/** The one log line of a request. No prompt, no answer, no key. */
import type { LogFields } from '../core/log.ts';
import { timingsOf } from '../core/receipt.ts';
import type { RequestRecord } from '../core/telemetry.ts';

export function requestLine({
  method,
  path,
  status,
  clientAddress,
  receipt,
  endedAt,
}: RequestRecord): LogFields {
  const { usage } = receipt;
  const timings = timingsOf(receipt, endedAt);
  // What is undefined is left out of the line.
  return {
    requestId: receipt.requestId,
    method,
    path,
    status,
    clientAddress,
    latencyMs: Math.round((endedAt - receipt.receivedAt) * 10) / 10,
    model: receipt.model,
    priority: receipt.priority,
    target: receipt.target,
    promptTokens: usage?.promptTokens,
    completionTokens: usage?.completionTokens,
    finishReason: receipt.finishReason,
    errorCode: receipt.errorCode,
    droppedFields: receipt.droppedFields?.length ? receipt.droppedFields : undefined,
    queueMs: receipt.enqueuedAt === undefined ? undefined : timings.queueMs,
    ttftMs: receipt.firstTokenAt === undefined ? undefined : timings.ttftMs,
    cancelPhase: receipt.cancelPhase,
  };
}
