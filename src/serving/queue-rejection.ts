/** The error of a request that the queue rejects: the same whichever process tells it. */
import { type ErrorCode, ServingError } from '../core/errors.ts';

const MESSAGES: Readonly<Partial<Record<ErrorCode, string>>> = {
  queue_full: 'Too many requests are waiting for this model. Retry after the time in Retry-After.',
  client_queue_full:
    'Too many requests of this client are waiting for this model. Retry after the time in Retry-After.',
  queue_timeout: 'No slot became free in time, or none is expected to. Retry after the time in Retry-After.',
  model_loading: 'The model is still being downloaded or loaded. GET /ready shows when it is ready.',
  no_backend_available:
    'No backend for this model is available at the moment. GET /ready shows the state of each.',
};

export function queueRejection(code: ErrorCode, retryAfterSeconds: number): ServingError {
  const message = MESSAGES[code];
  return new ServingError(code, { retryAfterSeconds, ...(message !== undefined && { message }) });
}
