/** The refusal of a body: the field at fault, what is wrong with it and what is allowed. */

import { ServingError } from '../core/errors.ts';
import type { FieldNames } from './protocol.ts';

export function invalid(param: string, message: string): ServingError {
  return new ServingError('invalid_request', { message, param });
}

/** Fields are named natively where they meet a backend; whoever asked in another protocol hears of them in its words. */

/** `format.properties.a` → `response_format.json_schema.schema.properties.a`. */
export function renameField(names: FieldNames, field: string): string {
  const root = /^[^.[]*/.exec(field)?.[0] ?? '';
  const name = Object.hasOwn(names, root) ? names[root] : undefined;
  if (name === undefined) return field;
  const rest = field.slice(root.length);
  return typeof name === 'string' ? name + rest : name(rest);
}

/** The same error about the same field; messages begin with its name where they speak of one. */
export function renameErrorField(names: FieldNames | undefined, error: ServingError): ServingError {
  const { param, message } = error;
  const name = param === undefined || names === undefined ? param : renameField(names, param);
  if (param === undefined || name === undefined || name === param) return error;
  return new ServingError(error.code, {
    message: message.startsWith(param) ? name + message.slice(param.length) : message,
    param: name,
    ...(error.retryAfterSeconds !== undefined && { retryAfterSeconds: error.retryAfterSeconds }),
    cause: error.cause,
  });
}
