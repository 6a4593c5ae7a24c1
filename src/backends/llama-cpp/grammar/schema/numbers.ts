/** Numbers, whole or not, within the bounds that can be kept exactly. */

import type { RuleBook } from '../gbnf/rule-book.ts';
import type { Bound, Facts } from './facts.ts';
import { decimalNumbers, wholeNumbers } from './number-ranges.ts';
import { Contradiction, type Pointer, SchemaProblem } from './problem.ts';

const LARGEST_WHOLE = Number.MAX_SAFE_INTEGER;
const LARGEST_BOUND = 1_000_000_000;

export function numberPart(
  facts: Facts,
  { at, book }: { readonly at: Pointer; readonly book: RuleBook },
): string {
  const { lower, upper, whole } = facts;
  if (whole) return wholePart(facts, { at, book });
  if (lower === undefined && upper === undefined) return book.json('number');
  checkBound(lower, { at, closed: 'minimum', open: 'exclusiveMinimum' });
  checkBound(upper, { at, closed: 'maximum', open: 'exclusiveMaximum' });
  const part = decimalNumbers({ lower, upper });
  if (part === undefined) throw impossible(at, lower);
  return part;
}

function wholePart(
  { lower, upper }: Facts,
  { at, book }: { readonly at: Pointer; readonly book: RuleBook },
): string {
  const least = Math.max(-LARGEST_WHOLE, lower === undefined ? -LARGEST_WHOLE : firstWhole(lower));
  const most = Math.min(LARGEST_WHOLE, upper === undefined ? LARGEST_WHOLE : lastWhole(upper));
  if (least > most) throw impossible(at, lower);
  if (least === -LARGEST_WHOLE && most === LARGEST_WHOLE) return book.json('integer');
  return wholeNumbers({ least, most });
}

function firstWhole({ value, exclusive }: Bound): number {
  return exclusive ? Math.floor(value) + 1 : Math.ceil(value);
}

function lastWhole({ value, exclusive }: Bound): number {
  return exclusive ? Math.ceil(value) - 1 : Math.floor(value);
}

function checkBound(
  bound: Bound | undefined,
  { at, closed, open }: { readonly at: Pointer; readonly closed: string; readonly open: string },
): void {
  if (bound === undefined) return;
  if (Number.isInteger(bound.value) && Math.abs(bound.value) <= LARGEST_BOUND) return;
  throw new SchemaProblem(
    at,
    bound.exclusive ? open : closed,
    `is ${bound.value}. For numbers that need not be whole it must be a whole number from -${LARGEST_BOUND} to ${LARGEST_BOUND}.`,
  );
}

function impossible(at: Pointer, lower: Bound | undefined): Contradiction {
  return new Contradiction(
    at,
    lower?.exclusive ? 'exclusiveMinimum' : 'minimum',
    'leaves no number below the upper bound.',
  );
}
