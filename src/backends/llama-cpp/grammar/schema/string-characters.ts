/**
 * Characters of a string as JSON spells them: most as themselves, quotes, backslashes and control characters as the
 * escapes that JSON.stringify writes.
 */
import {
  type CharacterSet,
  charactersOf,
  complement,
  difference,
  intersection,
  union,
} from '../gbnf/character-set.ts';
import { characterClass, choice, literal } from '../gbnf/text.ts';

const MUST_BE_ESCAPED: CharacterSet = union(charactersOf('"\\'), [{ from: 0, to: 0x1f }]);

/** Stand for themselves within a JSON string. */
export const PLAIN_CHARACTERS: CharacterSet = complement(MUST_BE_ESCAPED);

/** One character of the set, as it is spelt within a JSON string; the set must not be empty. */
export function spelt(set: CharacterSet): string {
  const plain = difference(set, MUST_BE_ESCAPED);
  const escaped = intersection(set, MUST_BE_ESCAPED).flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)),
  );
  return choice([
    ...(plain.length === 0 ? [] : [characterClass(plain)]),
    ...escaped.map((character) => literal(JSON.stringify(character).slice(1, -1))),
  ]);
}

/** A set whose characters all stand for themselves can be repeated as it is. */
export function isPlain(set: CharacterSet): boolean {
  return intersection(set, MUST_BE_ESCAPED).length === 0;
}
