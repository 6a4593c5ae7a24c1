/** Which of several character sets have characters in common, and how they divide into parts that have none. */
import { type CharacterRange, type CharacterSet, characterSet } from './character-set.ts';

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

/** Numbers of the sets that share a character with another one. */
export function overlapping(sets: readonly CharacterSet[]): ReadonlySet<number> {
  const found = new Set<number>();
  sweep(sets, (_, owners) => {
    if (owners.length > 1) for (const owner of owners) found.add(owner);
  });
  return found;
}

/** Each part with the numbers of the sets that it is in; parts of the same sets are one. */
export function parts(
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

/** From the first character to the last: each stretch that lies in the same sets, where it lies in any. */
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
