/** A part of a body held against its schema, where it stands: its fields that are null count as absent. */
import type { TSchema } from 'typebox';
import { ServingError } from '../../../core/errors.ts';
import { compileCheck, describeViolation } from '../../../schema/violation.ts';

/** `path`: of the part, for errors; empty for the whole body. */
export type PartReader<Part> = (raw: unknown, path: string) => Part;

export function partReader<Part>(schema: TSchema): PartReader<Part> {
  const check = compileCheck<Part>(schema);
  return (raw, place) => {
    const checked = check(withoutNulls(raw));
    if ('value' in checked) return checked.value;
    const path = joined(place, checked.violation.path);
    throw new ServingError('invalid_request', {
      message: describeViolation({ ...checked.violation, path }, 'The body'),
      ...(path === '' ? {} : { param: path }),
    });
  };
}

function withoutNulls(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
}

function joined(place: string, path: string): string {
  if (place === '' || path === '') return place + path;
  return `${place}${path.startsWith('[') ? '' : '.'}${path}`;
}
