/** What callers are told when the engine cannot serve them. Why is in the log: that is the operator's business. */
import { ServingError } from '../../core/errors.ts';
import type { EngineEnd } from './engine-process.ts';
import { CRASHES_WORTH_WAITING_FOR } from './restart-policy.ts';

/** The engine had the request when it ended. */
export function lostError(how: 'stopped' | 'hung'): ServingError {
  return new ServingError('backend_error', {
    message: `The engine ${how} while it worked on this request. It is being restarted: send the request again.`,
  });
}

export function downError(): ServingError {
  return new ServingError('backend_error', {
    message:
      'The engine is not running: it could not be started, or keeps failing. Try again later; the server’s log says why.',
  });
}

export function closedError(): ServingError {
  return new ServingError('draining', { retryAfterSeconds: 1 });
}

export function neverCameUpError(modelPath: string | undefined, { how, lastWords }: EngineEnd): ServingError {
  const last = lastWords === undefined ? '' : `; it last wrote “${lastWords}”`;
  return new ServingError('backend_error', {
    message:
      `The engine died ${CRASHES_WORTH_WAITING_FOR} times while it loaded ${modelPath ?? 'the model'} (${how}${last}). ` +
      'The file may be damaged or need more memory than there is: delete it to have it fetched anew, ' +
      'lower slots or context_size, or give another file with --model PATH.',
  });
}
