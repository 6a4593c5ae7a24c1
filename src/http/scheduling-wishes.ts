/**
 * What a request may wish for its scheduling: a priority and a time limit, in headers, so that clients of any protocol
 * can; a body that has such fields may shorten or lower them further. Pure.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Type } from 'typebox';
import type { Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { DEFAULT_PRIORITY, lowerOf, PRIORITIES, type Priority } from '../core/priority.ts';

export interface SchedulingWishes {
  readonly priority: Priority | undefined;
  readonly timeoutMs: Milliseconds | undefined;
}

export const TIMEOUT_HEADER = 'X-Request-Timeout-Ms';
export const PRIORITY_HEADER = 'X-Request-Priority';
export const LOWERED_HEADER = 'X-Priority-Lowered-From';

/** As the API description shows them. */
export const WISH_HEADERS = Type.Object({
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
export function readWishes(headers: IncomingHttpHeaders, body: SchedulingWishes): SchedulingWishes {
  const timeoutMs = timeoutFrom(headers);
  const priority = priorityFrom(headers);
  return {
    timeoutMs:
      timeoutMs && body.timeoutMs ? Math.min(timeoutMs, body.timeoutMs) : (timeoutMs ?? body.timeoutMs),
    priority: priority && body.priority ? lowerOf(priority, body.priority) : (priority ?? body.priority),
  };
}

/** What it gets, and the headers that say so: a wish beyond the client's right is lowered, not refused. */
export function grantPriority(
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
