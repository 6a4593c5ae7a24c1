/** Fields are named natively where they meet a backend; whoever asked in another protocol hears of them in its words. */
import { ServingError } from '../core/errors.ts';
import type { FieldNames } from './route-base.ts';

/**
 * Asked in turn: the field itself with its indices left out (`messages[].images` → `messages[].content`), what stands for all
 * within one (`format.*` → `response_format.json_schema.schema`), and its root (`think` → `reasoning_effort`).
 */
export function fieldIn(names: FieldNames, field: string): string {
  const name = (key: string) => (Object.hasOwn(names, key) ? names[key] : undefined);
  const indices = field.match(INDEX) ?? [];
  const whole = name(field.replace(INDEX, '[]'));
  if (whole !== undefined) return indices.reduce((path, index) => path.replace('[]', index), whole);
  const root = /^[^.[]*/.exec(field)?.[0] ?? '';
  const outer = name(`${root}.*`) ?? name(root);
  return outer === undefined ? field : outer + field.slice(root.length);
}

const INDEX = /\[\d+\]/g;

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
