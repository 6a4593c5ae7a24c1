/**
 * The one catalogue of errors. A ServingError may be thrown anywhere; it is rendered once, by the protocol
 * that the request came in with. After a stream has committed it becomes an event of that stream.
 */
import type { FailureCause } from './failure.ts';

interface ErrorSpec {
  readonly status: number;
  /** The same request may succeed later without being changed. */
  readonly retryable: boolean;
  readonly title: string;
  /** What went wrong at the target, where a backend names no other cause. Absent: the request itself was rejected. */
  readonly failure?: FailureCause;
}

export const ERRORS = {
  invalid_json: { status: 400, retryable: false, title: 'The body is not valid JSON.' },
  invalid_request: { status: 400, retryable: false, title: 'The request is not valid.' },
  unsupported_parameter: {
    status: 400,
    retryable: false,
    title: 'The backend of this model does not support a field of the request.',
    failure: 'unsupported',
  },
  context_length_exceeded: {
    status: 400,
    retryable: false,
    title: 'The prompt does not fit into the model’s context.',
    failure: 'context_too_small',
  },
  content_filtered: {
    status: 400,
    retryable: false,
    title: 'The backend’s content filter rejected the request.',
  },
  malformed_http: { status: 400, retryable: false, title: 'The request is not valid HTTP.' },
  missing_api_key: { status: 401, retryable: false, title: 'An API key is required.' },
  invalid_api_key: { status: 401, retryable: false, title: 'The API key is not valid.' },
  revoked_api_key: { status: 401, retryable: false, title: 'The API key was revoked, or has expired.' },
  forbidden: { status: 403, retryable: false, title: 'This request is not allowed.' },
  model_not_allowed: { status: 403, retryable: false, title: 'This API key may not use the model.' },
  not_found: { status: 404, retryable: false, title: 'This path does not exist.' },
  key_not_found: { status: 404, retryable: false, title: 'The API key does not exist.' },
  request_not_found: { status: 404, retryable: false, title: 'No such request is waiting or running.' },
  target_not_found: { status: 404, retryable: false, title: 'The target does not exist.' },
  model_not_found: {
    status: 404,
    retryable: false,
    title: 'The model does not exist.',
    failure: 'misconfigured',
  },
  method_not_allowed: { status: 405, retryable: false, title: 'This path does not support this method.' },
  request_timeout: { status: 408, retryable: true, title: 'The request did not arrive in time.' },
  reload_in_progress: { status: 409, retryable: true, title: 'Another reload is under way.' },
  name_taken: { status: 409, retryable: false, title: 'Another API key has that name.' },
  cancelled_by_admin: { status: 410, retryable: false, title: 'An administrator has cancelled the request.' },
  body_too_large: { status: 413, retryable: false, title: 'The body is too large.' },
  unsupported_media_type: { status: 415, retryable: false, title: 'The content type is not supported.' },
  invalid_configuration: { status: 422, retryable: false, title: 'The configuration is not valid.' },
  rate_limited: { status: 429, retryable: true, title: 'Too many requests or tokens within a limit’s time.' },
  budget_exceeded: { status: 429, retryable: false, title: 'The budget of the day or month is used up.' },
  too_many_attempts: { status: 429, retryable: false, title: 'Too many wrong API keys from this address.' },
  client_queue_full: { status: 429, retryable: true, title: 'This client has too many requests waiting.' },
  upstream_rate_limited: {
    status: 429,
    retryable: true,
    title: 'The model’s backend limits how often it may be asked.',
    failure: 'rate_limited',
  },
  headers_too_large: { status: 431, retryable: false, title: 'The headers are too large.' },
  client_gone: { status: 499, retryable: false, title: 'The client closed the connection.' },
  internal: { status: 500, retryable: false, title: 'Internal server error.' },
  backend_error: {
    status: 502,
    retryable: true,
    title: 'The model’s backend failed.',
    failure: 'server_error',
  },
  server_busy: {
    status: 503,
    retryable: true,
    title: 'The server is receiving too many request bodies at once, or a part of it does not answer.',
  },
  store_unavailable: {
    status: 503,
    retryable: true,
    title: 'The database of keys, usage or limits can’t be reached.',
  },
  queue_full: { status: 503, retryable: true, title: 'The queue is full.' },
  queue_timeout: { status: 503, retryable: true, title: 'No slot became free in time.' },
  model_loading: { status: 503, retryable: true, title: 'The model is still loading.', failure: 'loading' },
  no_backend_available: {
    status: 503,
    retryable: true,
    title: 'No backend for this model is available.',
    failure: 'overloaded',
  },
  draining: { status: 503, retryable: true, title: 'The server is shutting down.' },
  deadline_exceeded: { status: 504, retryable: false, title: 'The answer was not finished in time.' },
  loop_detected: { status: 508, retryable: false, title: 'The request has come back to this server.' },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** Errors that end a request by a decision, not by a fault of its own or of its target: the client left, its time ran out, somebody ended it. */
export const CANCELLATIONS: ReadonlySet<ErrorCode> = new Set([
  'client_gone',
  'deadline_exceeded',
  'draining',
  'cancelled_by_admin',
]);

interface ServingErrorDetails {
  /** What was wrong, what is allowed, what to do. Shown to the client: no internals. */
  readonly message?: string;
  /** The field at fault, as the client wrote it. */
  readonly param?: string;
  /** Whole seconds, ≥ 1. Infinity: the same request will never be admitted. */
  readonly retryAfterSeconds?: number;
  /** Methods that the path takes, for `method_not_allowed`. */
  readonly allow?: string;
  /** What went wrong at the target; absent: as the catalogue has it for the code. */
  readonly failure?: FailureCause;
  /** For the log only. */
  readonly cause?: unknown;
}

export class ServingError extends Error {
  readonly code: ErrorCode;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly allow: string | undefined;
  /** What went wrong at the target; undefined: nothing, the request itself was rejected. */
  readonly failure: FailureCause | undefined;

  constructor(code: ErrorCode, details: ServingErrorDetails = {}) {
    super(details.message ?? ERRORS[code].title, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'ServingError';
    this.code = code;
    this.param = details.param;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.allow = details.allow;
    this.failure = details.failure ?? this.spec.failure;
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code];
  }
}

/** Load or limits are why, not the request: answered 429 or 503, or inside a stream that had begun. */
export function isRejection(code: ErrorCode): boolean {
  const { status } = ERRORS[code];
  return status === 429 || status === 503;
}

/** Anything that was thrown, as a ServingError; what is not one becomes `internal` and keeps its cause for the log. */
export function toServingError(thrown: unknown): ServingError {
  return thrown instanceof ServingError ? thrown : new ServingError('internal', { cause: thrown });
}
