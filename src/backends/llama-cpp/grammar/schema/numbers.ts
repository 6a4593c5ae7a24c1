/**
 * Numbers and integers between bounds, digit by digit. Integers stay within what every reader keeps exact, ±(2^53 − 1);
 * other numbers have at most six decimals and no exponent, so that no reader rounds one across its bound.
 */

import { choice, type GrammarBuilder, literal, sequence } from '../gbnf/grammar-builder.ts';
import type { Bound, MergedSchema } from './conjunction.ts';
import { Contradiction, type Pointer, SchemaError } from './reader.ts';

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const MAX_BOUND = 1_000_000_000;

export function writeNumber(
  merged: MergedSchema,
  { at, builder }: { readonly at: Pointer; readonly builder: GrammarBuilder },
): string {
  const { lower, upper, integer } = merged;
  if (integer) return writeInteger(merged, { at, builder });
  if (lower === undefined && upper === undefined) return builder.json('number');
  checkBound(lower, { at, closed: 'minimum', open: 'exclusiveMinimum' });
  checkBound(upper, { at, closed: 'maximum', open: 'exclusiveMaximum' });
  const part = decimalsIn({ lower, upper });
  if (part === undefined) throw impossible(at, lower);
  return part;
}

function writeInteger(
  { lower, upper }: MergedSchema,
  { at, builder }: { readonly at: Pointer; readonly builder: GrammarBuilder },
): string {
  const min = Math.max(-MAX_INTEGER, lower === undefined ? -MAX_INTEGER : firstWhole(lower));
  const max = Math.min(MAX_INTEGER, upper === undefined ? MAX_INTEGER : lastWhole(upper));
  if (min > max) throw impossible(at, lower);
  if (min === -MAX_INTEGER && max === MAX_INTEGER) return builder.json('integer');
  return integersIn({ min, max });
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
  if (Number.isInteger(bound.value) && Math.abs(bound.value) <= MAX_BOUND) return;
  throw new SchemaError(
    at,
    bound.exclusive ? open : closed,
    `is ${bound.value}. For a number that is not an integer, the bound must be an integer from -${MAX_BOUND} to ${MAX_BOUND}.`,
  );
}

function impossible(at: Pointer, lower: Bound | undefined): Contradiction {
  return new Contradiction(
    at,
    lower?.exclusive ? 'exclusiveMinimum' : 'minimum',
    'leaves no number below the upper bound.',
  );
}

interface IntegerRange {
  readonly min: number;
  readonly max: number;
}

interface DecimalRange {
  readonly lower: { readonly value: number; readonly exclusive: boolean } | undefined;
  readonly upper: { readonly value: number; readonly exclusive: boolean } | undefined;
}

const MAX_UNBOUNDED = 999_999_999_999_999;
const DECIMALS = 6;
const FRACTION = `("." [0-9]{1,${DECIMALS}})?`;
const ZERO_FRACTION = `("." "0"{1,${DECIMALS}})?`;
/** At least one digit that is not 0. */
const SOME_FRACTION = sequence(
  literal('.'),
  choice(
    Array.from({ length: DECIMALS }, (_, zeros) =>
      sequence(zeros === 0 ? '' : literal('0'.repeat(zeros)), `[1-9] [0-9]{0,${DECIMALS - 1 - zeros}}`),
    ),
  ),
);

/** `min` ≤ `max`, both safe integers. */
function integersIn({ min, max }: IntegerRange): string {
  const ways: string[] = [];
  if (min < 0) ways.push(sequence(literal('-'), natural({ min: Math.max(1, -max), max: -min })));
  if (max >= 0) ways.push(natural({ min: Math.max(0, min), max }));
  return choice(ways);
}

/** Bounds are integers; undefined where no number meets them. */
function decimalsIn({ lower, upper }: DecimalRange): string | undefined {
  const ways: string[] = [];
  if (lower === undefined || lower.value < 0) {
    const magnitudes = decimals({
      lower: upper !== undefined && upper.value < 0 ? mirrored(upper) : { value: 0, exclusive: false },
      upper: lower && mirrored(lower),
    });
    if (magnitudes !== undefined) ways.push(sequence(literal('-'), magnitudes));
  }
  if (upper === undefined || upper.value >= 0) {
    const from = lower !== undefined && lower.value >= 0 ? lower : { value: 0, exclusive: false };
    const positives = decimals({ lower: from, upper });
    if (positives !== undefined) ways.push(positives);
  }
  return ways.length === 0 ? undefined : choice(ways);
}

function mirrored({ value, exclusive }: { value: number; exclusive: boolean }) {
  return { value: -value, exclusive };
}

/** The lower bound is at least 0. */
function decimals({ lower, upper }: DecimalRange): string | undefined {
  const from = lower?.value ?? 0;
  const to = upper?.value ?? MAX_UNBOUNDED;
  if (from > to) return undefined;
  if (from === to)
    return lower?.exclusive || upper?.exclusive ? undefined : sequence(literal(String(from)), ZERO_FRACTION);
  const ways: string[] = [];
  if (lower?.exclusive) ways.push(sequence(literal(String(from)), SOME_FRACTION));
  const min = lower?.exclusive ? from + 1 : from;
  if (min <= to - 1) ways.push(sequence(natural({ min, max: to - 1 }), FRACTION));
  if (!upper?.exclusive) ways.push(sequence(literal(String(to)), ZERO_FRACTION));
  return ways.length === 0 ? undefined : choice(ways);
}

/** 0 ≤ min ≤ max, without leading zeros. */
function natural({ min, max }: IntegerRange): string {
  const shortest = String(min).length;
  const longest = String(max).length;
  const ways: string[] = [];
  for (let length = shortest; length <= longest; length++) {
    const first = length === shortest ? String(min) : `1${'0'.repeat(length - 1)}`;
    const last = length === longest ? String(max) : '9'.repeat(length);
    ways.push(digits(first, last));
  }
  return choice(ways);
}

/** The digit strings from `first` to `last`, which have the same length. */
function digits(first: string, last: string): string {
  if (first === '') return '';
  const [low, high] = [first[0] as string, last[0] as string];
  const [lowRest, highRest] = [first.slice(1), last.slice(1)];
  const zeros = '0'.repeat(lowRest.length);
  const nines = '9'.repeat(lowRest.length);
  const any = lowRest === '' ? '' : `[0-9]{${lowRest.length}}`;
  if (low === high)
    return sequence(literal(low), lowRest === zeros && highRest === nines ? any : digits(lowRest, highRest));
  const ways: string[] = [];
  const wholeFrom = lowRest === zeros ? Number(low) : Number(low) + 1;
  const wholeTo = highRest === nines ? Number(high) : Number(high) - 1;
  if (wholeFrom > Number(low)) ways.push(sequence(literal(low), digits(lowRest, nines)));
  if (wholeFrom <= wholeTo)
    ways.push(
      sequence(wholeFrom === wholeTo ? literal(String(wholeFrom)) : `[${wholeFrom}-${wholeTo}]`, any),
    );
  if (wholeTo < Number(high)) ways.push(sequence(literal(high), digits(zeros, highRest)));
  return choice(ways);
}
