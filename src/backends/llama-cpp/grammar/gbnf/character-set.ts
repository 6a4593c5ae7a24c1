/**
 * Sets of Unicode code points as sorted, separate ranges. Surrogates are never in a set: they are no characters, and
 * no text that a model can write holds one.
 */
export interface CharacterRange {
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

export type CharacterSet = readonly CharacterRange[];

export const LAST_CODE_POINT = 0x10ffff;
const LAST_BEFORE_SURROGATES = 0xd7ff;
const FIRST_AFTER_SURROGATES = 0xe000;

/** Sorted, joined, without surrogates. A range that is upside down counts as empty. */
export function characterSet(ranges: readonly CharacterRange[]): CharacterSet {
  const sorted = ranges
    .flatMap(({ from, to }) => [
      { from, to: Math.min(to, LAST_BEFORE_SURROGATES) },
      { from: Math.max(from, FIRST_AFTER_SURROGATES), to },
    ])
    .filter(({ from, to }) => from <= to)
    .sort((left, right) => left.from - right.from);
  const joined: CharacterRange[] = [];
  for (const range of sorted) {
    const last = joined.at(-1);
    if (last === undefined || range.from > last.to + 1) joined.push(range);
    else joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
  }
  return joined;
}

export const ALL_CHARACTERS: CharacterSet = characterSet([{ from: 0, to: LAST_CODE_POINT }]);

/** Empty for a surrogate. */
export function singleCharacter(codePoint: number): CharacterSet {
  const isSurrogate = codePoint > LAST_BEFORE_SURROGATES && codePoint < FIRST_AFTER_SURROGATES;
  return isSurrogate ? [] : [{ from: codePoint, to: codePoint }];
}

/** The set of the characters of a text. */
export function charactersOf(text: string): CharacterSet {
  return characterSet(
    Array.from(text, (character) => ({ from: codePointOf(character), to: codePointOf(character) })),
  );
}

export function union(...sets: readonly CharacterSet[]): CharacterSet {
  return characterSet(sets.flat());
}

export function complement(set: CharacterSet): CharacterSet {
  const gaps: CharacterRange[] = [];
  let next = 0;
  for (const { from, to } of set) {
    gaps.push({ from: next, to: from - 1 });
    next = to + 1;
  }
  return characterSet([...gaps, { from: next, to: LAST_CODE_POINT }]);
}

export function intersection(left: CharacterSet, right: CharacterSet): CharacterSet {
  return complement(union(complement(left), complement(right)));
}

export function difference(left: CharacterSet, right: CharacterSet): CharacterSet {
  return intersection(left, complement(right));
}

export function includes(set: CharacterSet, codePoint: number): boolean {
  for (const { from, to } of set) if (from <= codePoint && codePoint <= to) return true;
  return false;
}

function codePointOf(character: string): number {
  return character.codePointAt(0) as number;
}
