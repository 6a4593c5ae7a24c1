/**
 * The trace of one request: timestamps and facts, filled in as it goes. The log line, the metrics and the `timings` of the
 * answer are made from it. Every layer may write the fields of its own step, once.
 */
import type { AskedOfModel } from './asked-of-model.ts';
import type { Caller } from './caller.ts';
import type { Milliseconds } from './clock.ts';
import type { Consumption, UsedTokens } from './consumption.ts';
import type { ErrorCode } from './errors.ts';
import type { FailureCause } from './failure.ts';
import type { FinishReason, ModelId, Usage } from './generation.ts';
import type { Priority } from './priority.ts';
import type { TraceContext } from './trace-context.ts';

/** Where a request was when it was cancelled. */
export type CancelPhase = 'queued' | 'waiting' | 'streaming';

export interface BatchInfo {
  readonly id: string;
  /** Requests dispatched together, this one included. */
  readonly size: number;
}

/** How a further try came about: at another target, after a pause at one that had failed, at a fallback model, or in the middle of a stream. */
export type RetryKind = 'elsewhere' | 'here' | 'other_model' | 'resumed';

/** One try at a target. */
export interface Attempt {
  readonly target: string;
  /** The number of its slot there, from 0: no other had it at the same time. */
  readonly slot: number;
  readonly model: ModelId;
  /** When it began to wait for its slot. */
  readonly enqueuedAt: Milliseconds;
  /** When it got its slot. */
  readonly startedAt: Milliseconds;
  /** That it left the queue with. */
  readonly batch: BatchInfo;
  /** Undefined of the first. */
  readonly kind: RetryKind | undefined;
  /** What the try before failed with; undefined of the first, and where the model before had no target to try. */
  readonly after: FailureCause | undefined;
  /** What went wrong at the target; undefined while it runs, and where nothing did. */
  failure: FailureCause | undefined;
  /** Of its own answer; undefined until then, and where the answer came in one piece. */
  firstTokenAt: Milliseconds | undefined;
  /** Undefined while it runs. */
  endedAt: Milliseconds | undefined;
  /** Undefined while it runs. */
  outcome: AttemptOutcome | undefined;
  /** Of its span; undefined where no traces are made. */
  readonly spanId: string | undefined;
}

/** `rejected`: the request itself was at fault. */
export type AttemptOutcome = 'completed' | 'cancelled' | 'rejected' | FailureCause;

/** What the queue was given of a request. */
export interface QueuedFacts {
  readonly promptTokens: number;
  readonly maxTokens: number | undefined;
  readonly maxTokensIsDefault: boolean;
  readonly sizeBytes: number;
  readonly deadlineAt: number;
}

export interface RequestTrace {
  /** As answers and logs show it: the client's own id if it sent a valid one. Never used as a key. */
  readonly requestId: string;
  readonly receivedAt: Milliseconds;
  /** Its part in a W3C trace; absent where no traces are made. */
  readonly traceContext?: TraceContext | undefined;
  /** What its share of the slots goes by: the id of its caller, or the key of its address. Never shown. */
  client?: string;
  /** Whose key it came with; absent where none is asked for. */
  caller?: Caller;
  /** Absent where its spans are not made. */
  readonly spanNotes?: SpanNotes | undefined;
  /** What the queue was given of it, the first time. */
  queued?: QueuedFacts;
  model?: ModelId;
  priority?: Priority;
  /** The target that is being asked, or was asked last. */
  target?: string;
  /** In their order; absent before the first. */
  attempts?: Attempt[];
  /** Time in queues that ended without a slot: in rejection or cancellation. */
  unservedWaitMs?: Milliseconds;
  /** Of a request with several choices, once all have ended: the one that ended last. Its times are the request's. */
  longestChoice?: Pick<RequestTrace, 'attempts' | 'unservedWaitMs'>;
  /** It would have been tried again if the retry budget had allowed it. */
  lackedRetryBudget?: boolean;
  /** The model that answers, where it is not the one that was asked for. */
  servedModel?: ModelId;
  /** How often the answer was continued at another target, or by a restarted engine, after a part of it had been sent. */
  resumptions?: number;
  /** Why a stream that broke did not go on; absent where nothing was left that could go on with it. */
  notResumed?: string | undefined;
  enqueuedAt?: Milliseconds;
  dispatchedAt?: Milliseconds;
  firstTokenAt?: Milliseconds;
  /** The backend was asked without streaming: when the first token was there is not known. */
  unstreamed?: boolean;
  endedAt?: Milliseconds;
  batch?: BatchInfo;
  /** Of the answer, as its client is told. */
  usage?: Usage;
  /** By all tries that have ended; its choices share it. Absent: it never waited for a slot. */
  consumed?: Consumption;
  finishReason?: FinishReason;
  errorCode?: ErrorCode;
  /** Fields, by their native names, that were not supported and were dropped: by the protocol, or as the configuration allows. */
  droppedFields?: string[];
  cancelPhase?: CancelPhase;
}

/** One try at a target, of one choice. */
export interface NotedTry {
  readonly attempt: Attempt;
  /** Of its choice. */
  readonly trace: Pick<RequestTrace, 'finishReason' | 'usage'>;
  /** Tokens, as far as they are known; complete when it has ended. */
  readonly used: UsedTokens;
}

/** A wait in the queue that ended without a slot. */
export interface UnservedWait {
  readonly model: ModelId;
  readonly enqueuedAt: Milliseconds;
  readonly endedAt: Milliseconds;
  readonly code: ErrorCode;
}

/** What the spans of a sampled request are made of at its end, beside its trace. Its choices share it. */
export interface SpanNotes {
  /** Undefined until the body has been read, and where no model is asked. */
  asked: AskedOfModel | undefined;
  /** In the order in which they got their slots. */
  readonly tries: NotedTry[];
  readonly unserved: UnservedWait[];
}

/** Position of a waiting request in its queue. */
export interface QueuePosition {
  /** 1 is next; 0: it has left the queue. */
  readonly position: number;
  /** An estimate, from recent service times. */
  readonly etaMs: Milliseconds;
}

/** Milliseconds with two decimals: queue + upstream + gateway = total. */
export interface Timings {
  /** Waiting for slots, in all tries. */
  readonly queueMs: number;
  /** Holding slots: at the targets, in all tries. */
  readonly upstreamMs: number;
  /** Of `upstreamMs`: the answering try's, until its first token. Undefined where that is not known: the answer came in one piece. */
  readonly ttftMs: number | undefined;
  /** Of `upstreamMs`: the answering try's, from its first token on. */
  readonly generateMs: number | undefined;
  /** The rest: reading, parsing, pauses between tries, writing. */
  readonly gatewayMs: number;
  readonly totalMs: number;
}

/** As if it had not got so far: what was noted of it when it began to wait for a slot (serving/slot.ts, http/routes) goes. */
export function forgetWait(trace: RequestTrace): void {
  for (const field of NOTED_WHEN_QUEUED) delete trace[field];
  if (trace.spanNotes === undefined) return;
  trace.spanNotes.asked = undefined;
  trace.spanNotes.unserved.length = 0;
}

const NOTED_WHEN_QUEUED = [
  'queued',
  'model',
  'priority',
  'enqueuedAt',
  'unservedWaitMs',
  'longestChoice',
  'consumed',
  'droppedFields',
  'cancelPhase',
] as const;

/** From arrival to `end`. The answering try is the last one. Marks not set count as `end`. */
export function timingsOf(trace: RequestTrace, end: Milliseconds): Timings {
  const { attempts, unservedWaitMs = 0 } = trace.longestChoice ?? trace;
  // A try ends when its answer does, not when its slot is free.
  const answeredAt = Math.min(trace.endedAt ?? end, end);
  let queueMs = unservedWaitMs;
  let upstreamMs = 0;
  let ttftMs: number | undefined;
  let generateMs: number | undefined;
  if (attempts !== undefined)
    for (const { enqueuedAt, startedAt, firstTokenAt, endedAt } of attempts) {
      const attemptEnd = Math.max(startedAt, Math.min(endedAt ?? answeredAt, answeredAt));
      queueMs += startedAt - enqueuedAt;
      upstreamMs += attemptEnd - startedAt;
      ttftMs = firstTokenAt === undefined ? undefined : firstTokenAt - startedAt;
      generateMs = firstTokenAt === undefined ? undefined : attemptEnd - firstTokenAt;
    }
  const total = hundredths(end - trace.receivedAt);
  const queue = hundredths(queueMs);
  const upstream = hundredths(upstreamMs);
  return {
    queueMs: queue / 100,
    upstreamMs: upstream / 100,
    ttftMs: ttftMs === undefined ? undefined : hundredths(ttftMs) / 100,
    generateMs: generateMs === undefined ? undefined : hundredths(generateMs) / 100,
    gatewayMs: Math.max(0, total - queue - upstream) / 100,
    totalMs: total / 100,
  };
}

function hundredths(milliseconds: Milliseconds): number {
  return Math.max(0, Math.round(milliseconds * 100));
}

/** Milliseconds with two decimals. */
export function formatMs(milliseconds: number): string {
  const hundredths = Math.max(0, Math.round(milliseconds * 100));
  const decimals = hundredths % 100;
  return `${(hundredths - decimals) / 100}.${decimals < 10 ? '0' : ''}${decimals}`;
}

/** As answers and the live feed name them. */
export interface WireTimings {
  readonly queue_ms: number;
  readonly upstream_ms: number;
  readonly ttft_ms?: number;
  readonly generate_ms?: number;
  readonly gateway_ms: number;
  readonly total_ms: number;
}

export function wireTimings({
  queueMs,
  upstreamMs,
  ttftMs,
  generateMs,
  gatewayMs,
  totalMs,
}: Timings): WireTimings {
  if (ttftMs === undefined || generateMs === undefined)
    return { queue_ms: queueMs, upstream_ms: upstreamMs, gateway_ms: gatewayMs, total_ms: totalMs };
  return {
    queue_ms: queueMs,
    upstream_ms: upstreamMs,
    ttft_ms: ttftMs,
    generate_ms: generateMs,
    gateway_ms: gatewayMs,
    total_ms: totalMs,
  };
}

/** The same as the text of a JSON object, made far more quickly than from its numbers. */
export function timingsText({
  queueMs,
  upstreamMs,
  ttftMs,
  generateMs,
  gatewayMs,
  totalMs,
}: Timings): string {
  const begun =
    ttftMs === undefined || generateMs === undefined
      ? ''
      : `"ttft_ms":${formatMs(ttftMs)},"generate_ms":${formatMs(generateMs)},`;
  return `{"queue_ms":${formatMs(queueMs)},"upstream_ms":${formatMs(upstreamMs)},${begun}"gateway_ms":${formatMs(gatewayMs)},"total_ms":${formatMs(totalMs)}}`;
}

/** What the edge reports of each request that has ended. */
export interface RequestRecord {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The path of a known route, or `unknown`: few values, so it can be a label. */
  readonly route: string;
  /** 499 where the client left. */
  readonly status: number;
  readonly clientAddress: string;
  readonly trace: RequestTrace;
  readonly endedAt: Milliseconds;
}

/** It asked a model, or the limiter kept it from asking. Pages, probes and what scanners try do not. */
export function concernsModel({ model, errorCode }: Pick<RequestTrace, 'model' | 'errorCode'>): boolean {
  return model !== undefined || errorCode === 'rate_limited' || errorCode === 'budget_exceeded';
}

/** The telemetry layer, as the edge sees it. */
export interface Telemetry {
  requestEnded(record: RequestRecord): void;
  /** A connection was closed unread; `bound` is the setting that it exceeded. */
  connectionRefused(bound: string): void;
  /** Its `outcome` and `endedAt` are set. */
  attemptEnded(attempt: Attempt): void;
  /** Whether its limits let a request in, once for each; `undecided`: their store could not be asked, and so it was refused. */
  rateLimited(decision: 'allowed' | 'limited' | 'undecided'): void;
  /** A decision in which limits of that scope took part; `limited`: in which they refused. */
  limitDecided(scope: string, decision: 'allowed' | 'limited'): void;
  tokenGap(model: string, gapMs: Milliseconds, target: string | undefined): void;
  /** A backend's stream had an event that could not be read. */
  malformedEvent(model: string, target: string): void;
  /** Prometheus text exposition. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}
