/**
 * What all requests to a model have in common: scheduling hints, a place among the active requests, one cancellation. Invariant: it is
 * cancelled when the client leaves, and its end is noted exactly once.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Type } from 'typebox';
import type { Along } from '../core/backend.ts';
import { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { CANCELLATIONS, ServingError, toServingError } from '../core/errors.ts';
import type { RequestId } from '../core/generation.ts';
import { DEFAULT_PRIORITY, lowerOf, PRIORITIES, type Priority } from '../core/priority.ts';
import { type CancelPhase, forgetWait, type RequestTrace } from '../core/request-trace.ts';
import { readCallerContext, TRACEPARENT_HEADER, TRACESTATE_HEADER } from '../core/trace-context.ts';
import { renameErrorField } from '../protocols/field-errors.ts';
import type { FieldNames } from '../protocols/protocol.ts';
import type { GenerationCall } from '../serving/generation-attempt.ts';
import { onceAdmitted, type PendingAdmission } from '../serving/pending-admission.ts';
import type { Serving } from '../serving/serving.ts';
import { isInRanges } from './client-address.ts';
import type { RequestContext } from './context.ts';
import type { LimitGate } from './limit-gate.ts';
import { hopsOf } from './loop-detection.ts';
import { newId } from './open-requests.ts';
import type { ReservedWork } from './reserved-work.ts';
import type { EdgeSettings } from './settings.ts';

export interface ModelRequestOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly settings: EdgeSettings;
  readonly limitGate: LimitGate;
}

interface ModelRequest {
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
  readonly fieldNames: FieldNames | undefined;
  /** From its body. */
  readonly hints: SchedulingHints;
  /** What limits reserve for it; absent: it takes no slot. */
  readonly work?: ReservedWork | undefined;
  /** Called with the error that the request fails with, before its end is noted. */
  readonly onFailure?: (error: ServingError) => void;
}

/** The request as serving takes it, but for what it asks of the model. */
export type ModelCall = Omit<GenerationCall, 'request' | 'onQueuePosition'>;

/**
 * Runs it to its end. Throws `draining`, what its limits refuse it with, or what `run` throws: as a ServingError in the route's own field names, which are put in here
 * and nowhere else.
 */
export async function runModelRequest<Answer>(
  { context, options, fieldNames, hints: bodyHints, work, onFailure }: ModelRequest,
  run: (call: ModelCall) => Promise<Answer>,
): Promise<Answer> {
  const { trace, client } = context;
  context.fieldNames = fieldNames;
  const { serving, clock, settings, limitGate } = options;
  const hints = readSchedulingHints(context.request.headers, bodyHints);
  const highest = highestPriorityOf(context, settings);
  const { priority, headers } = grantPriority(hints.priority, highest);
  onceAdmitted(context.pendingLimits, () => {
    for (const [name, value] of Object.entries(headers)) context.setHeader(name.toLowerCase(), value);
  });
  const cancellation = new Cancellation();
  const leave = serving.drain.enter({ trace, cancellation, connection: context.request.socket });
  const onClose = () => {
    if (!context.response.writableEnded) cancellation.cancel(new ServingError('client_gone'));
  };
  context.onClose(onClose);
  const timeoutMs = Math.min(hints.timeoutMs ?? Number.POSITIVE_INFINITY, settings.requestTimeoutMs);
  const deadlineAt = trace.receivedAt + timeoutMs;
  let failure: ServingError | undefined;
  let admission: PendingAdmission | undefined;
  let isSettled = false;
  const settle = () => {
    if (!isSettled) limitGate.settle(context, failure);
    isSettled = true;
  };
  try {
    const reserved = limitGate.reserve(context, work);
    if (reserved instanceof Promise) await reserved;
    else admission = reserved;
    // The request may wait for long; its body has been parsed and is not needed any more.
    context.body = undefined;
    const heldBytes = context.bodyBytes ?? 0;
    const clientDeadlineAt = hints.timeoutMs === undefined ? undefined : deadlineAt;
    const along = alongOf(context, { priority, deadlineAt: clientDeadlineAt });
    // What is given back in another process is there before the client can ask again. One that lags behind in a stream has a part of it
    // to come. In this process it is given back in the same turn as the answer's end, and that order costs more.
    if (limitGate.givesBackElsewhere)
      context.onLastBytes = () => {
        settle();
        if (context.response.writableLength === 0) limitGate.ended(context);
        limitGate.flush();
      };
    const answer = run({ trace, client, priority, cancellation, deadlineAt, heldBytes, along, admission });
    admission?.admitted.catch((refusal: unknown) => cancellation.cancel(toServingError(refusal)));
    return await answer;
  } catch (thrown) {
    const failed = toServingError(thrown);
    // Before anything is waited for: the end of a request whose client is gone is reported at once.
    noteFailure(trace, failed);
    const first = admission === undefined ? failed : await firstOf(admission, failed, trace);
    const error = renameErrorField(fieldNames, first);
    failure = error;
    onFailure?.(error);
    throw error;
  } finally {
    trace.endedAt ??= clock.now();
    settle();
    context.offClose(onClose);
    // A stream whose head went out before the shutdown began.
    leave({ untold: context.isAnswered && !context.saidClose });
  }
}

/** A refusal by limits goes before what failed meanwhile; then the request has never waited for a slot. */
async function firstOf(
  { admitted }: PendingAdmission,
  failed: ServingError,
  trace: RequestTrace,
): Promise<ServingError> {
  try {
    await admitted;
    return failed;
  } catch (thrown) {
    const refusal = toServingError(thrown);
    forgetWait(trace);
    noteFailure(trace, refusal);
    return refusal;
  }
}

/** Where no traces are made, the caller's trace goes on as it is. */
function alongOf(
  { request: { headers }, trace, client }: RequestContext,
  { priority, deadlineAt }: Pick<Along, 'priority' | 'deadlineAt'>,
): Along {
  const { requestId, receivedAt, traceContext } = trace;
  const hops = hopsOf(headers);
  const own = traceContext && {
    traceparent: traceContext.traceparent(traceContext.spanId),
    tracestate: traceContext.tracestate,
  };
  const carried = own ?? readCallerContext(headers[TRACEPARENT_HEADER], headers[TRACESTATE_HEADER]);
  const { traceparent, tracestate } = carried ?? {};
  return { requestId, hops, traceparent, tracestate, client, priority, receivedAt, deadlineAt };
}

export function newModelRequestId(prefix: 'gen' | 'emb'): RequestId {
  return newId(prefix) as RequestId;
}

function noteFailure(trace: RequestTrace, { code }: ServingError): void {
  trace.errorCode = code;
  if (CANCELLATIONS.has(code)) trace.cancelPhase = cancelPhaseOf(trace);
}

function cancelPhaseOf({ dispatchedAt, firstTokenAt }: RequestTrace): CancelPhase {
  if (dispatchedAt === undefined) return 'queued';
  return firstTokenAt === undefined ? 'waiting' : 'streaming';
}

/**
 * How a request is scheduled: its priority and its time limit. They come in headers, so that clients of any protocol can send them; a body
 * that has such fields can only lower or shorten them further.
 */
interface SchedulingHints {
  readonly priority: Priority | undefined;
  readonly timeoutMs: Milliseconds | undefined;
}

const TIMEOUT_HEADER = 'X-Request-Timeout-Ms';
export const PRIORITY_HEADER = 'X-Request-Priority';
export const LOWERED_HEADER = 'X-Priority-Lowered-From';

/** The headers, for the API description. */
export const HINT_HEADERS = Type.Object({
  [TIMEOUT_HEADER]: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Shortens the time limit, as timeout_ms does; the shorter counts.',
    }),
  ),
  [PRIORITY_HEADER]: Type.Optional(
    Type.Enum([...PRIORITIES], { description: 'As priority in the body; the lower counts.' }),
  ),
  'X-Queue-Events': Type.Optional(
    Type.Literal('1', {
      description: 'A native stream then reports its position in the queue while it waits.',
    }),
  ),
});

const WHOLE_NUMBER = /^[0-9]+$/;

/** The shorter time limit and the lower priority of header and body. Throws `invalid_request` with the name of the header. */
function readSchedulingHints(headers: IncomingHttpHeaders, body: SchedulingHints): SchedulingHints {
  const timeoutMs = timeoutFrom(headers);
  const priority = priorityFrom(headers);
  return {
    timeoutMs:
      timeoutMs && body.timeoutMs ? Math.min(timeoutMs, body.timeoutMs) : (timeoutMs ?? body.timeoutMs),
    priority: priority && body.priority ? lowerOf(priority, body.priority) : (priority ?? body.priority),
  };
}

/** What the key says counts, whatever the address; without it, addresses of scheduler.high_priority_clients may ask for high. */
function highestPriorityOf(
  { caller, clientAddress }: Pick<RequestContext, 'caller' | 'clientAddress'>,
  { highPriorityClients }: Pick<EdgeSettings, 'highPriorityClients'>,
): Priority {
  if (caller?.highestPriority !== undefined) return caller.highestPriority;
  return isInRanges(clientAddress, highPriorityClients) ? 'high' : DEFAULT_PRIORITY;
}

/**
 * The priority that it gets, with the headers that report it: one above the client's maximum is lowered to it, not refused. Where none is
 * asked for, a key whose highest is low gets that.
 */
function grantPriority(
  asked: Priority | undefined,
  highest: Priority,
): { readonly priority: Priority; readonly headers: Readonly<Record<string, string>> } {
  if (asked === undefined) return { priority: lowerOf(DEFAULT_PRIORITY, highest), headers: {} };
  const priority = lowerOf(asked, highest);
  const lowered = priority === asked ? {} : { [LOWERED_HEADER]: asked };
  return { priority, headers: { [PRIORITY_HEADER]: priority, ...lowered } };
}

function timeoutFrom(headers: IncomingHttpHeaders): Milliseconds | undefined {
  const text = headers[TIMEOUT_HEADER.toLowerCase()];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && WHOLE_NUMBER.test(text) && Number(text) >= 1) return Number(text);
  throw invalid(TIMEOUT_HEADER, text, 'a whole number of milliseconds, at least 1');
}

function priorityFrom(headers: IncomingHttpHeaders): Priority | undefined {
  const text = headers[PRIORITY_HEADER.toLowerCase()];
  if (text === undefined) return undefined;
  const known = PRIORITIES.find((priority) => priority === text);
  if (known) return known;
  throw invalid(PRIORITY_HEADER, text, `one of ${PRIORITIES.join(', ')}`);
}

function invalid(header: string, value: string | string[], rule: string): ServingError {
  return new ServingError('invalid_request', {
    message: `The header ${header} is ${JSON.stringify(value)}, but must be ${rule}.`,
    param: header,
  });
}
