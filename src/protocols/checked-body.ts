/** A body held against its schema: the typed value, or a refusal that names the field, the value and the rule. */
import type { TSchema } from 'typebox';
import { ServingError } from '../core/errors.ts';
import { compileCheck, describeViolation } from '../schema/violation.ts';

export function bodyReader<Body>(schema: TSchema): (raw: unknown) => Body {
  const check = compileCheck<Body>(schema);
  return (raw) => {
    const checked = check(raw);
    if ('value' in checked) return checked.value;
    const { path } = checked.violation;
    throw new ServingError('invalid_request', {
      message: describeViolation(checked.violation, 'The body'),
      ...(path === '' ? {} : { param: path }),
    });
  };
}
