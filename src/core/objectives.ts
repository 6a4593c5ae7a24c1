/** Whether a request met the configuration's `objectives`: what counts for the goodput, in the metrics and in the live feed. Pure. */
import type { Milliseconds } from './clock.ts';
import type { RequestTrace } from './request-trace.ts';

/** Absent: not asked for. */
export interface Objectives {
  /** From arrival to the first token. */
  readonly ttftMs?: Milliseconds | undefined;
  /** Mean time per output token after the first. */
  readonly tpotMs?: Milliseconds | undefined;
  /** From arrival to the end of the answer. */
  readonly e2eMs?: Milliseconds | undefined;
}

/** The request has been answered in full: it counts for the goodput, or against it. */
export function isFinished({ usage, errorCode, cancelPhase }: RequestTrace): boolean {
  return usage !== undefined && errorCode === undefined && cancelPhase === undefined;
}

/**
 * False of a request that did not finish. Where the answer came in one piece, and of embeddings, no first token is known: those that
 * are about it hold. With one output token there is no time after the first.
 */
export function meetsObjectives(
  trace: RequestTrace,
  endedAt: Milliseconds,
  { ttftMs, tpotMs, e2eMs }: Objectives,
): boolean {
  if (!isFinished(trace)) return false;
  const { receivedAt, usage } = trace;
  const answeredAt = trace.endedAt ?? endedAt;
  if (e2eMs !== undefined && answeredAt - receivedAt > e2eMs) return false;
  const firstTokenAt = trace.unstreamed === true ? undefined : trace.firstTokenAt;
  if (firstTokenAt === undefined) return true;
  if (ttftMs !== undefined && firstTokenAt - receivedAt > ttftMs) return false;
  const tokensAfter = (usage?.completionTokens ?? 0) - 1;
  if (tpotMs === undefined || tokensAfter < 1) return true;
  return (answeredAt - firstTokenAt) / tokensAfter <= tpotMs;
}
