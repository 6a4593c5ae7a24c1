/**
 * What failed connections and statuses of an upstream mean, whatever API it speaks: the cause that retries and health act on, and
 * the error of a request that stays failed. What the servers' own words add is in `backends/NAME/errors.ts`.
 */
import { ServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import { type ResponseHeaders, retryAfterSeconds } from './untyped.ts';

/** Other statuses: 500 and above `server_error`, the rest `misconfigured`, for a server that knows the API does not use them. */
const STATUS_FAILURES: Readonly<Record<number, FailureCause>> = {
  408: 'overloaded',
  409: 'overloaded',
  424: 'server_error',
  425: 'overloaded',
  429: 'rate_limited',
  503: 'overloaded',
  508: 'loop',
  // Anthropic's, and of servers that imitate it.
  529: 'overloaded',
};

/** Why a probe fails that gets that status, for the log. */
export function probeFailure(path: string, status: number): string {
  return STATUS_FAILURES[status] === 'loop'
    ? 'The target is this server itself, or leads back to it. Change its url.'
    : `The server responds to ${path} with ${status}.`;
}

/** The server rejected the request itself: it would do so again. */
const REJECTIONS: ReadonlySet<number> = new Set([400, 413, 422]);

/** For a status other than 200; undefined for a rejection of the request. */
export function failureOfStatus(status: number): FailureCause | undefined {
  if (REJECTIONS.has(status)) return undefined;
  return STATUS_FAILURES[status] ?? (status >= 500 ? 'server_error' : 'misconfigured');
}

const KEY_REJECTED =
  'The model’s backend rejects this server’s key. The operator must set the target’s api_key.';
const NO_CREDIT = 'The account that this server uses at the model’s backend has no credit left.';
const MISCONFIGURED: Readonly<Record<number, string>> = {
  401: KEY_REJECTED,
  402: NO_CREDIT,
  403: KEY_REJECTED,
};

/** For a status other than 200 that is no rejection of the request. `cause` is for the log only. */
export function statusError(
  { status, headers }: { readonly status: number; readonly headers: ResponseHeaders },
  { wallNowMs, cause }: { readonly wallNowMs: number; readonly cause: unknown },
): ServingError {
  const failure = failureOfStatus(status) ?? 'misconfigured';
  const seconds = retryAfterSeconds(headers, wallNowMs);
  const wait = seconds === undefined ? {} : { retryAfterSeconds: seconds };
  switch (failure) {
    case 'rate_limited': {
      const message = 'The model’s backend limits how often it may be asked. Try again later.';
      return new ServingError('upstream_rate_limited', { message, ...wait, failure, cause });
    }
    case 'overloaded': {
      const message = 'The model’s backend is overloaded. Try again shortly.';
      return new ServingError('no_backend_available', { message, ...wait, failure, cause });
    }
    case 'loop': {
      const message =
        'The model’s backend is this server itself, or asks it. The operator must change the target’s url.';
      return new ServingError('loop_detected', { message, failure, cause });
    }
    default: {
      const message = MISCONFIGURED[status] ?? `The model’s backend answered ${status}.`;
      return new ServingError('backend_error', { message, failure, cause });
    }
  }
}

/** How far an exchange had come when its connection failed. */
export interface ExchangeProgress {
  /** The request was sent, or a part of it. */
  readonly isSent: boolean;
  /** The response's status and headers had come. */
  readonly isAnswered: boolean;
}

/** A failed connection. Before the request was sent nothing has happened at the server. */
export function networkError(cause: unknown, { isSent, isAnswered }: ExchangeProgress): ServingError {
  const code = errorCode(cause);
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return closedError({ isSent, isAnswered });
  if (!isSent) {
    const message = `The model’s backend ${connectFailure(code)}. Try again shortly.`;
    const failure = 'unreachable';
    return new ServingError('no_backend_available', { message, retryAfterSeconds: 1, failure, cause });
  }
  const message = `The model’s backend ${responseFailure(code)}.`;
  const failure = isUnreadable(code) ? 'garbage' : lostAt(isAnswered);
  return new ServingError('backend_error', { message, failure, cause });
}

/** Our own end of the connection was closed: the target is removed, or the server shuts down. */
export function closedError({ isSent, isAnswered }: ExchangeProgress): ServingError {
  const failure = isSent ? lostAt(isAnswered) : 'unreachable';
  return new ServingError('draining', { retryAfterSeconds: 1, failure });
}

function lostAt(isAnswered: boolean): FailureCause {
  return isAnswered ? 'cut' : 'reset';
}

function connectFailure(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused the connection';
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'did not accept a connection in time';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'has a host name that does not resolve';
    default:
      return 'could not be reached';
  }
}

function responseFailure(code: string): string {
  return isUnreadable(code)
    ? 'answered something that is not HTTP'
    : 'closed the connection before its answer was complete';
}

/** No HTTP, headers without end, or another length than announced. */
function isUnreadable(code: string): boolean {
  return (
    code.startsWith('HPE_') ||
    code === 'UND_ERR_HEADERS_OVERFLOW' ||
    code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  );
}

/** Connecting to a name with several addresses fails with one error for each. */
function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}
