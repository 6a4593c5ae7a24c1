/** Fields are named natively where they meet a backend; whoever asked in another protocol hears of them in its words. */
import { ServingError } from '../core/errors.ts';
import type { FieldNames } from './route-base.ts';

/** `format.properties.a` → `response_format.json_schema.schema.properties.a`; a name for the whole field goes first. */
export function fieldIn(names: FieldNames, field: string): string {
  const root = /^[^.[]*/.exec(field)?.[0] ?? '';
  const known = [field, root].find((part) => Object.hasOwn(names, part));
  return known === undefined ? field : `${names[known]}${field.slice(known.length)}`;
}

/** The same error about the same field; messages begin with its name where they speak of one. */
export function inWordsOf(names: FieldNames | undefined, error: ServingError): ServingError {
  const { param, message } = error;
  const name = param === undefined || names === undefined ? param : fieldIn(names, param);
  if (param === undefined || name === undefined || name === param) return error;
  return new ServingError(error.code, {
    message: message.startsWith(param) ? name + message.slice(param.length) : message,
    param: name,
    ...(error.retryAfterSeconds !== undefined && { retryAfterSeconds: error.retryAfterSeconds }),
    cause: error.cause,
  });
}
