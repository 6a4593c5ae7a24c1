/** Strings: plain, bounded in length, by a pattern or by a format. The quotes are part of what is written. */
import {
  type CharacterSet,
  charactersOf,
  complement,
  difference,
  intersection,
  union,
} from '../gbnf/character-set.ts';
import {
  characterClass,
  choice,
  type GrammarBuilder,
  literal,
  repeated,
  sequence,
} from '../gbnf/grammar-builder.ts';
import type { MergedSchema } from './conjunction.ts';
import { Contradiction, checkRepetitions, type Pointer, SchemaError } from './reader.ts';
import { PatternError, parsePattern, writeExpression } from './regular-expression.ts';

const MUST_BE_ESCAPED: CharacterSet = union(charactersOf('"\\'), [{ from: 0, to: 0x1f }]);

/** Characters that need no escape in a JSON string. */
export const PLAIN_CHARACTERS: CharacterSet = complement(MUST_BE_ESCAPED);

/** One character of the set as JSON.stringify writes it within a string; the set must not be empty. */
function jsonCharacter(set: CharacterSet): string {
  const plain = difference(set, MUST_BE_ESCAPED);
  const escaped = intersection(set, MUST_BE_ESCAPED).flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)),
  );
  return choice([
    ...(plain.length === 0 ? [] : [characterClass(plain)]),
    ...escaped.map((character) => literal(JSON.stringify(character).slice(1, -1))),
  ]);
}

function needsNoEscape(set: CharacterSet): boolean {
  return intersection(set, MUST_BE_ESCAPED).length === 0;
}

const QUOTE = literal('"');
const MONTH_AND_DAY =
  '((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))';
const LEAP_YEAR = '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)';
const DATE = `([0-9]{4}-${MONTH_AND_DAY}|${LEAP_YEAR}-02-29)`;
const HOUR_AND_MINUTE = '([01][0-9]|2[0-3]):[0-5][0-9]';
const TIME = `${HOUR_AND_MINUTE}:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+\\-]${HOUR_AND_MINUTE})`;
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';

/** Formats that a pattern describes exactly; times without leap seconds. */
const FORMATS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  uuid: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  ipv4: `^(${OCTET}\\.){3}${OCTET}$`,
};

export function writeString(
  merged: MergedSchema,
  { at, builder }: { readonly at: Pointer; readonly builder: GrammarBuilder },
): string {
  const { minLength, maxLength, patterns, formats } = merged;
  const [described, other] = [
    ...formats.map((format) => ['format', format]),
    ...patterns.map((pattern) => ['pattern', pattern]),
  ];
  const hasLength = minLength > 0 || maxLength !== undefined;
  if (described !== undefined) {
    const [keyword, text] = described as [string, string];
    if (other !== undefined || hasLength)
      throw new SchemaError(
        at,
        keyword,
        `is not supported beside ${other?.[0] ?? 'minLength or maxLength'}; write both as one pattern.`,
      );
    return keyword === 'format' ? formatPart(text, { at, builder }) : patternPart(text, { at, builder });
  }
  if (!hasLength) return builder.json('string');
  if (maxLength !== undefined && minLength > maxLength)
    throw new Contradiction(at, 'minLength', 'is greater than maxLength.');
  checkRepetitions(at, { minLength, maxLength });
  // A rule of its own, so that equal lengths share the engine's rules for the repetition.
  return builder.add('text', sequence(QUOTE, repeated(builder.json('char'), minLength, maxLength), QUOTE));
}

function formatPart(
  format: string,
  options: { readonly at: Pointer; readonly builder: GrammarBuilder },
): string {
  if (!Object.hasOwn(FORMATS, format))
    throw new SchemaError(
      options.at,
      'format',
      `is not one of ${Object.keys(FORMATS).join(', ')}. Others cannot be enforced exactly: use pattern.`,
    );
  return patternPart(FORMATS[format] as string, options);
}

function patternPart(
  pattern: string,
  { at, builder }: { readonly at: Pointer; readonly builder: GrammarBuilder },
): string {
  try {
    const rules = writeExpression(parsePattern(pattern), {
      builder,
      one: jsonCharacter,
      isOne: needsNoEscape,
    });
    return sequence(QUOTE, rules, QUOTE);
  } catch (thrown) {
    if (!(thrown instanceof PatternError)) throw thrown;
    throw new SchemaError(at, 'pattern', thrown.message);
  }
}
