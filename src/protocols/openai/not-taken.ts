/** The refusal of what OpenAI takes and this server, whatever the backend, does not: the field, and what to do instead. */
import { ServingError } from '../../core/errors.ts';

/** `what` follows the field: "is not supported". */
export function notTaken(param: string, what: string, advice: string): ServingError {
  return new ServingError('unsupported_parameter', { message: `${param} ${what}. ${advice}`, param });
}
