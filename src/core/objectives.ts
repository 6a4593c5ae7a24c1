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
export function meetsObjectives(trace: RequestTrace, endedAt: Milliseconds, objectives: Objectives): boolean {
  if (!isFinished(trace)) return false;
  const { receivedAt, usage } = trace;
  const firstTokenAt = trace.unstreamed === true ? undefined : trace.firstTokenAt;
  const e2eMs = (trace.endedAt ?? endedAt) - receivedAt;
  const ttftMs = firstTokenAt === undefined ? undefined : firstTokenAt - receivedAt;
  return isWithin({ e2eMs, ttftMs, completionTokens: usage?.completionTokens ?? 0 }, objectives);
}

/** The same of a finished request, by its times from arrival; `ttftMs` undefined: no first token is known. */
export function isWithin(
  times: {
    readonly e2eMs: Milliseconds;
    readonly ttftMs: Milliseconds | undefined;
    readonly completionTokens: number;
  },
  { ttftMs, tpotMs, e2eMs }: Objectives,
): boolean {
  if (e2eMs !== undefined && times.e2eMs > e2eMs) return false;
  if (times.ttftMs === undefined) return true;
  if (ttftMs !== undefined && times.ttftMs > ttftMs) return false;
  const tokensAfter = times.completionTokens - 1;
  if (tpotMs === undefined || tokensAfter < 1) return true;
  return (times.e2eMs - times.ttftMs) / tokensAfter <= tpotMs;
}
