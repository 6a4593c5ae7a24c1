/** What came of the requests, recorded or replayed, and the figures that are compared. Pure. */
import type { Milliseconds } from '../core/clock.ts';
import { ERRORS, type ErrorCode, isRejection } from '../core/errors.ts';
import { isWithin } from '../core/objectives.ts';
import { quantile } from '../core/quantile.ts';
import type { RecordedRequest, RecordedSettings } from '../core/record-file.ts';

/** Times are absolute. */
export interface RequestOutcome {
  readonly arrivedAt: Milliseconds;
  readonly endedAt: Milliseconds;
  readonly outcome: 'finished' | 'rejected' | 'failed' | 'cancelled';
  /** Of a rejection. */
  readonly code?: string | undefined;
  /** Undefined: it never got a slot. */
  readonly queueMs: Milliseconds | undefined;
  /** From arrival; undefined: no first token, or not known. */
  readonly ttftMs: Milliseconds | undefined;
  readonly answerTokens: number;
  /** Of its slots. */
  readonly heldMs: Milliseconds;
}

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

export interface Figures {
  readonly requests: number;
  readonly finished: number;
  readonly withinObjectives: number;
  readonly failed: number;
  readonly cancelled: number;
  /** By code. */
  readonly rejected: Readonly<Record<string, number>>;
  /** Undefined: of none. */
  readonly queueMs: Percentiles | undefined;
  /** From arrival to the first token. */
  readonly ttftMs: Percentiles | undefined;
  /** From arrival to the end, of those that finished. */
  readonly e2eMs: Percentiles | undefined;
  /** Of finished requests, per second of the whole time. */
  readonly tokensPerSecond: number;
  readonly goodputPerSecond: number;
  /** Mean over the whole time. */
  readonly slotsUsed: number;
  readonly slots: number;
}

const REJECTED = new Set([429, 503]);

export function recordedOutcome(request: RecordedRequest): RequestOutcome {
  const { at_ms: at, ended, status, error_code: code, cancel_phase: phase, attempts, queued } = request;
  const first = attempts[0];
  const last = attempts.at(-1);
  const isRejected = code !== null && (REJECTED.has(status) || isRejectedBy(code));
  const heldMs = attempts.reduce((sum, { started, ended: end }) => sum + (end ?? ended) - started, 0);
  return {
    arrivedAt: at,
    endedAt: at + ended,
    outcome: isRejected ? 'rejected' : phase !== null ? 'cancelled' : code !== null ? 'failed' : 'finished',
    code: isRejected ? code : undefined,
    queueMs: first === undefined || queued === null ? undefined : first.started - queued.at,
    ttftMs: last?.first_token ?? undefined,
    answerTokens: request.completion_tokens ?? 0,
    heldMs,
  };
}

/** Also inside a stream that had begun, whose status tells nothing. A record of another version may have codes that are not known here. */
function isRejectedBy(code: string): boolean {
  return Object.hasOwn(ERRORS, code) && isRejection(code as ErrorCode);
}

export function figuresOf(
  outcomes: readonly RequestOutcome[],
  { objectives, slots }: { readonly objectives: RecordedSettings['objectives']; readonly slots: number },
): Figures {
  const finished = outcomes.filter(({ outcome }) => outcome === 'finished');
  const within = finished.filter((each) => meetsRecorded(each, objectives)).length;
  const rejected: Record<string, number> = {};
  for (const { outcome, code = 'rejected' } of outcomes)
    if (outcome === 'rejected') rejected[code] = (rejected[code] ?? 0) + 1;
  const from = outcomes.reduce(
    (least, { arrivedAt }) => Math.min(least, arrivedAt),
    Number.POSITIVE_INFINITY,
  );
  const to = outcomes.reduce((most, { endedAt }) => Math.max(most, endedAt), Number.NEGATIVE_INFINITY);
  const totalMs = Math.max(1, to - from);
  const sum = (values: readonly RequestOutcome[], read: (value: RequestOutcome) => number) =>
    values.reduce((total, value) => total + read(value), 0);
  return {
    requests: outcomes.length,
    finished: finished.length,
    withinObjectives: within,
    failed: outcomes.filter(({ outcome }) => outcome === 'failed').length,
    cancelled: outcomes.filter(({ outcome }) => outcome === 'cancelled').length,
    rejected,
    queueMs: percentilesOf(outcomes.flatMap(({ queueMs }) => queueMs ?? [])),
    ttftMs: percentilesOf(finished.flatMap(({ ttftMs }) => ttftMs ?? [])),
    e2eMs: percentilesOf(finished.map(({ arrivedAt, endedAt }) => endedAt - arrivedAt)),
    tokensPerSecond: (sum(finished, ({ answerTokens }) => answerTokens) * 1000) / totalMs,
    goodputPerSecond: (within * 1000) / totalMs,
    slotsUsed: sum(outcomes, ({ heldMs }) => heldMs) / totalMs,
    slots,
  };
}

function meetsRecorded(
  { arrivedAt, endedAt, ttftMs, answerTokens }: RequestOutcome,
  { ttft_ms, tpot_ms, e2e_ms }: RecordedSettings['objectives'],
): boolean {
  const times = { e2eMs: endedAt - arrivedAt, ttftMs, completionTokens: answerTokens };
  return isWithin(times, {
    ttftMs: ttft_ms ?? undefined,
    tpotMs: tpot_ms ?? undefined,
    e2eMs: e2e_ms ?? undefined,
  });
}

export function percentilesOf(values: readonly number[]): Percentiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return { p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9), p99: quantile(sorted, 0.99) };
}

/** Differences of times below it are not counted: a person does not notice them, and a short wait is mostly chance. */
export const LEAST_MS = 20;

export interface ReplayError {
  /** A part: 0.05 is five percent. */
  readonly part: number;
  readonly figure: string;
}

/** How far a replay is from what was recorded: the figure that is off most. */
export function replayError(recorded: Figures, replayed: Figures): ReplayError {
  const errors: ReplayError[] = [];
  const add = (figure: string, is: number, should: number, least: number) => {
    const base = Math.max(Math.abs(should), least);
    if (base > 0) errors.push({ figure, part: Math.abs(is - should) / base });
  };
  add('finished', replayed.finished, recorded.finished, 1);
  add('tokens/s', replayed.tokensPerSecond, recorded.tokensPerSecond, 0);
  for (const [name, one, other] of [
    ['time in the queue', replayed.queueMs, recorded.queueMs],
    ['first token', replayed.ttftMs, recorded.ttftMs],
    ['whole time', replayed.e2eMs, recorded.e2eMs],
  ] as const) {
    if (one === undefined || other === undefined) continue;
    for (const rank of ['p50', 'p90'] as const) add(`${name}, ${rank}`, one[rank], other[rank], LEAST_MS);
  }
  errors.sort((one, other) => other.part - one.part);
  return errors[0] ?? { figure: 'finished', part: 0 };
}
