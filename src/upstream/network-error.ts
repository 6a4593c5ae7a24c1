/** What a failed connection means for the caller: nothing was sent, so another try is safe; or the answer is lost. */
import { ServingError } from '../core/errors.ts';

/** `started`: the request was on its way when it failed. The cause is for the log; clients are told no addresses. */
export function networkError(cause: unknown, { started }: { readonly started: boolean }): ServingError {
  const code = errorCode(cause);
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED')
    return new ServingError('draining', { retryAfterSeconds: 1 });
  if (!started) {
    const message = `The model’s backend ${connectTrouble(code)}. Try again shortly.`;
    return new ServingError('no_backend_available', { message, retryAfterSeconds: 1, cause });
  }
  return new ServingError('backend_error', { message: `The model’s backend ${answerTrouble(code)}.`, cause });
}

function connectTrouble(code: string): string {
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

function answerTrouble(code: string): string {
  return code.startsWith('HPE_')
    ? 'answered something that is not HTTP'
    : 'closed the connection before its answer was complete';
}

/** Connecting to a name with several addresses fails with one error for each. */
function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}
