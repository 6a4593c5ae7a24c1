/**
 * Errors about one field of a body. Parsers and backends name fields natively; http/ renames them, once, into the names of the
 * route that the client used.
 */
import { ServingError } from '../core/errors.ts';
import type { FieldNames } from './protocol.ts';

/** `message`: what is wrong with the field and what is allowed; it begins with the field. */
export function invalid(param: string, message: string): ServingError {
  return new ServingError('invalid_request', { message, param });
}

/** `format.properties.a` → `response_format.json_schema.schema.properties.a`. */
export function renameField(names: FieldNames, field: string): string {
  const root = /^[^.[]*/.exec(field)?.[0] ?? '';
  const name = Object.hasOwn(names, root) ? names[root] : undefined;
  if (name === undefined) return field;
  const rest = field.slice(root.length);
  return typeof name === 'string' ? name + rest : name(rest);
}

/** The same error with the field's other name, also at the beginning of its message. */
export function renameErrorField(names: FieldNames | undefined, error: ServingError): ServingError {
  const { param, message } = error;
  if (param === undefined || names === undefined) return error;
  const name = renameField(names, param);
  if (name === param) return error;
  return new ServingError(error.code, {
    message: message.startsWith(param) ? name + message.slice(param.length) : message,
    param: name,
    ...(error.retryAfterSeconds !== undefined && { retryAfterSeconds: error.retryAfterSeconds }),
    cause: error.cause,
  });
}
