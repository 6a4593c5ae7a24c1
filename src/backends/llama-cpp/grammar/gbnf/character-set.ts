/**
 * Sets of Unicode code points, as sorted and separate ranges. Surrogates are never in a set: they are not characters, and no
 * text contains one.
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

/** Sorted, merged, without surrogates. A range whose end is before its start is empty. */
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

interface Edge {
  readonly at: number;
  readonly owner: number;
  readonly opens: boolean;
}

export function overlap(one: CharacterSet, other: CharacterSet): boolean {
  let [left, right] = [0, 0];
  for (;;) {
    const [here, there] = [one[left], other[right]];
    if (here === undefined || there === undefined) return false;
    if (here.from <= there.to && there.from <= here.to) return true;
    if (here.to < there.to) left += 1;
    else right += 1;
  }
}

/** Indexes of the sets that share a character with another one. */
export function overlapping(sets: readonly CharacterSet[]): ReadonlySet<number> {
  const found = new Set<number>();
  sweep(sets, (_, owners) => {
    if (owners.length > 1) for (const owner of owners) found.add(owner);
  });
  return found;
}

/** The sets, divided into parts that share no character; each with the indexes of the sets that it belongs to. */
export function partition(
  sets: readonly CharacterSet[],
): readonly { readonly set: CharacterSet; readonly owners: readonly number[] }[] {
  const byOwners = new Map<
    string,
    { readonly ranges: CharacterRange[]; readonly owners: readonly number[] }
  >();
  sweep(sets, (range, owners) => {
    const key = owners.join();
    const part = byOwners.get(key) ?? { ranges: [], owners };
    part.ranges.push(range);
    byOwners.set(key, part);
  });
  return Array.from(byOwners.values(), ({ ranges, owners }) => ({ set: characterSet(ranges), owners }));
}

/** Visits, in order, each range of characters that belong to the same sets. */
function sweep(
  sets: readonly CharacterSet[],
  visit: (range: CharacterRange, owners: readonly number[]) => void,
): void {
  const edges: Edge[] = sets.flatMap((set, owner) =>
    set.flatMap(({ from, to }) => [
      { at: from, owner, opens: true },
      { at: to + 1, owner, opens: false },
    ]),
  );
  edges.sort((one, other) => one.at - other.at);
  const open = new Set<number>();
  let from = 0;
  for (const { at, owner, opens } of edges) {
    if (open.size > 0 && at > from)
      visit(
        { from, to: at - 1 },
        [...open].sort((one, other) => one - other),
      );
    from = at;
    if (opens) open.add(owner);
    else open.delete(owner);
  }
}
