/**
 * What every request has in common that asks something of a model: its wishes, its place among those under way, its one
 * cancellation. Invariant: that is aborted when the client leaves, and the request's end is counted exactly once.
 */

import type { IncomingHttpHeaders } from 'node:http';
import { Type } from 'typebox';
import { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type ErrorCode, ServingError, toServingError } from '../core/errors.ts';
import type { RequestId } from '../core/generation.ts';
import { DEFAULT_PRIORITY, lowerOf, PRIORITIES, type Priority } from '../core/priority.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { renameErrorField } from '../protocols/field-errors.ts';
import type { RouteBase } from '../protocols/protocol.ts';
import type { GenerationCall } from '../serving/generate.ts';
import type { Serving } from '../serving/serving.ts';
import { type AddressRange, isInRanges } from './client-address.ts';
import type { RequestContext } from './context.ts';
import { newId } from './open-requests.ts';

export interface ModelRequestOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly requestTimeoutMs: Milliseconds;
  /** Addresses that may ask for high priority. */
  readonly highPriorityClients: readonly AddressRange[];
}

interface ModelRequest {
  readonly context: RequestContext;
  readonly options: ModelRequestOptions;
  readonly route: Pick<RouteBase, 'fieldNames'>;
  /** What its body wishes. */
  readonly hints: SchedulingHints;
}

/** On what terms serving takes it. */
export type ModelCall = Omit<GenerationCall, 'request' | 'onQueuePosition'>;

/** Runs it to its end, whatever that is. Throws what `run` throws, or `draining`. */
export async function runModelRequest<Answer>(
  { context, options, route, hints: ofBody }: ModelRequest,
  run: (terms: ModelCall) => Promise<Answer>,
): Promise<Answer> {
  const { trace, clientAddress, clientId } = context;
  context.fieldNames = route.fieldNames;
  const { serving, clock } = options;
  const wishes = readSchedulingHints(context.request.headers, ofBody);
  const mayAskHigh = isInRanges(clientAddress, options.highPriorityClients);
  const { priority, headers } = grantPriority(wishes.priority, { mayAskHigh });
  for (const [name, value] of Object.entries(headers)) context.setHeader(name.toLowerCase(), value);
  const cancellation = new Cancellation();
  const leave = serving.drain.enter({ trace, cancellation });
  const onClose = () => {
    if (!context.response.writableEnded) cancellation.cancel(new ServingError('client_gone'));
  };
  context.onClose(onClose);
  const timeoutMs = Math.min(wishes.timeoutMs ?? Number.POSITIVE_INFINITY, options.requestTimeoutMs);
  const deadlineAt = trace.receivedAt + timeoutMs;
  try {
    // What was parsed is all that is needed of it; it may wait for long.
    context.body = undefined;
    const heldBytes = context.bodyBytes ?? 0;
    return await run({ trace, client: clientId, priority, cancellation, deadlineAt, heldBytes });
  } catch (thrown) {
    const error = renameErrorField(route.fieldNames, toServingError(thrown));
    trace.errorCode = error.code;
    if (CANCELLATIONS.has(error.code)) noteCancelPhase(trace);
    throw error;
  } finally {
    trace.endedAt ??= clock.now();
    context.offClose(onClose);
    leave();
  }
}

export function newModelRequestId(prefix: 'gen' | 'emb'): RequestId {
  return newId(prefix) as RequestId;
}

/** Ends that were somebody's decision, not the backend's failure. */
const CANCELLATIONS: ReadonlySet<ErrorCode> = new Set(['client_gone', 'deadline_exceeded', 'draining']);

function noteCancelPhase(trace: RequestTrace): void {
  if (trace.dispatchedAt === undefined) trace.cancelPhase = 'queued';
  else trace.cancelPhase = trace.firstTokenAt === undefined ? 'waiting' : 'streaming';
}

/**
 * What a request may wish for its scheduling: a priority and a time limit, in headers, so that clients of any protocol
 * can; a body that has such fields may shorten or lower them further. Pure.
 */

interface SchedulingHints {
  readonly priority: Priority | undefined;
  readonly timeoutMs: Milliseconds | undefined;
}

const TIMEOUT_HEADER = 'X-Request-Timeout-Ms';
export const PRIORITY_HEADER = 'X-Request-Priority';
export const LOWERED_HEADER = 'X-Priority-Lowered-From';

/** As the API description shows them. */
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
    Type.Literal('1', { description: 'A native stream then tells its place in the queue while it waits.' }),
  ),
});

const WHOLE_NUMBER = /^[0-9]+$/;

/** Of several limits the shortest counts, of several priorities the lowest. Throws `invalid_request` that names the header. */
function readSchedulingHints(headers: IncomingHttpHeaders, body: SchedulingHints): SchedulingHints {
  const timeoutMs = timeoutFrom(headers);
  const priority = priorityFrom(headers);
  return {
    timeoutMs:
      timeoutMs && body.timeoutMs ? Math.min(timeoutMs, body.timeoutMs) : (timeoutMs ?? body.timeoutMs),
    priority: priority && body.priority ? lowerOf(priority, body.priority) : (priority ?? body.priority),
  };
}

/** What it gets, and the headers that say so: a wish beyond the client's right is lowered, not refused. */
function grantPriority(
  asked: Priority | undefined,
  { mayAskHigh }: { readonly mayAskHigh: boolean },
): { readonly priority: Priority; readonly headers: Readonly<Record<string, string>> } {
  if (asked === undefined) return { priority: DEFAULT_PRIORITY, headers: {} };
  const priority = mayAskHigh ? asked : lowerOf(asked, DEFAULT_PRIORITY);
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
