/** The refusal of a body: the field at fault, what is wrong with it and what is allowed. */
import { ServingError } from '../core/errors.ts';

export function invalid(param: string, message: string): ServingError {
  return new ServingError('invalid_request', { message, param });
}
