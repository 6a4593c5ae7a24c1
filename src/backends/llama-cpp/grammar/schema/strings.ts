/** Strings: plain, bounded in length, by a pattern or by a format. The quotes are part of what is written. */

import type { RuleBook } from '../gbnf/rule-book.ts';
import { literal, repeated, sequence } from '../gbnf/text.ts';
import { SCHEMA_LIMITS } from '../limits.ts';
import { expressionRules } from './expression-rules.ts';
import type { Facts } from './facts.ts';
import { Contradiction, type Pointer, SchemaProblem } from './problem.ts';
import { PatternProblem, readPattern } from './regular-expression.ts';
import { isPlain, spelt } from './string-characters.ts';

const QUOTE = literal('"');
const MONTH_AND_DAY =
  '((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))';
const LEAP_YEAR = '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)';
const DATE = `([0-9]{4}-${MONTH_AND_DAY}|${LEAP_YEAR}-02-29)`;
const HOUR_AND_MINUTE = '([01][0-9]|2[0-3]):[0-5][0-9]';
const TIME = `${HOUR_AND_MINUTE}:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+\\-]${HOUR_AND_MINUTE})`;
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';

/** Formats that a pattern describes exactly. Times are without leap seconds. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  uuid: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  ipv4: `^(${OCTET}\\.){3}${OCTET}$`,
};

export function stringPart(
  facts: Facts,
  { at, book }: { readonly at: Pointer; readonly book: RuleBook },
): string {
  const { minLength, maxLength, patterns, formats } = facts;
  const [described, other] = [
    ...formats.map((format) => ['format', format]),
    ...patterns.map((pattern) => ['pattern', pattern]),
  ];
  const hasLength = minLength > 0 || maxLength !== undefined;
  if (described !== undefined) {
    const [keyword, text] = described as [string, string];
    if (other !== undefined || hasLength)
      throw new SchemaProblem(
        at,
        keyword,
        `is not supported beside ${other?.[0] ?? 'minLength or maxLength'}; write both as one pattern.`,
      );
    return keyword === 'format' ? formatPart(text, { at, book }) : patternPart(text, { at, book });
  }
  if (!hasLength) return book.json('string');
  if (maxLength !== undefined && minLength > maxLength)
    throw new Contradiction(at, 'minLength', 'is greater than maxLength.');
  for (const [keyword, value] of [
    ['minLength', minLength],
    ['maxLength', maxLength ?? 0],
  ] as const)
    if (value > SCHEMA_LIMITS.repetitions)
      throw new SchemaProblem(at, keyword, `is ${value}. At most ${SCHEMA_LIMITS.repetitions} is allowed.`);
  // A rule of its own: equal lengths then share the engine's rules for the repetition.
  return book.add('text', sequence(QUOTE, repeated(book.json('char'), minLength, maxLength), QUOTE));
}

function formatPart(format: string, options: { readonly at: Pointer; readonly book: RuleBook }): string {
  if (!Object.hasOwn(FORMATS, format))
    throw new SchemaProblem(
      options.at,
      'format',
      `is not one of ${Object.keys(FORMATS).join(', ')}. Others cannot be met exactly: describe the text with pattern.`,
    );
  return patternPart(FORMATS[format] as string, options);
}

function patternPart(
  pattern: string,
  { at, book }: { readonly at: Pointer; readonly book: RuleBook },
): string {
  try {
    const rules = expressionRules(readPattern(pattern), { book, one: spelt, isOne: isPlain });
    return sequence(QUOTE, rules, QUOTE);
  } catch (thrown) {
    if (!(thrown instanceof PatternProblem)) throw thrown;
    throw new SchemaProblem(at, 'pattern', thrown.message);
  }
}
