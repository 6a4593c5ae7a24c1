/** A body, or a part of one, held against its schema: the typed value, or a refusal that names the field, the value and the rule. */
import type { TSchema } from 'typebox';
import { ServingError } from '../core/errors.ts';
import { compileCheck, describeViolation } from '../schema/violation.ts';

/** `place`: where the part stands in its body, for errors; without one it is the body itself. */
export type BodyReader<Body> = (raw: unknown, place?: string) => Body;

export function bodyReader<Body>(schema: TSchema): BodyReader<Body> {
  const check = compileCheck<Body>(schema);
  return (raw, place = '') => {
    const checked = check(raw);
    if ('value' in checked) return checked.value;
    const path = within(place, checked.violation.path);
    throw new ServingError('invalid_request', {
      message: describeViolation({ ...checked.violation, path }, 'The body'),
      ...(path === '' ? {} : { param: path }),
    });
  };
}

function within(place: string, path: string): string {
  if (place === '' || path === '') return place + path;
  return `${place}${path.startsWith('[') ? '' : '.'}${path}`;
}
