/**
 * A part of a body held against its schema: the typed value, or a refusal that names the part by its place in the body. Fields
 * that are null count as absent; parts within a part are read by readers of their own, so that the field at fault is named.
 */
import type { Static, TSchema } from 'typebox';
import { ServingError } from '../../core/errors.ts';
import { compileCheck, describeViolation } from '../../schema/violation.ts';

/** `path`: where the part stands; empty for the body itself. */
export function partReader<Schema extends TSchema>(
  schema: Schema,
): (raw: unknown, path: string) => Static<Schema> {
  const check = compileCheck<Static<Schema>>(schema);
  return (raw, path) => {
    const checked = check(withoutNulls(raw));
    if ('value' in checked) return checked.value;
    const { violation } = checked;
    const place = [path, violation.path].filter((name) => name !== '').join('.');
    throw new ServingError('invalid_request', {
      message: describeViolation({ ...violation, path: place }, 'The body'),
      ...(place === '' ? {} : { param: place }),
    });
  };
}

function withoutNulls(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null && value !== undefined));
}
