/** The error of a request whose time is over after it had a slot. */
import { ServingError } from '../core/errors.ts';

/** `advice`: what to change. */
export function deadlineError(advice: string): ServingError {
  return new ServingError('deadline_exceeded', {
    message: `The answer was not finished within the request’s time limit. ${advice}`,
  });
}
