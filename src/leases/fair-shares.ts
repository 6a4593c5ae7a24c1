/**
 * Divides the slots of a target among its replicas. Pure. First what they need, then, of what is left, what they would like to have in
 * reserve; each time max-min fair: nobody gets more while one who has less wants more. Never more than there are.
 */
export interface Wanted {
  /** For what runs and what waits. */
  readonly needs: number;
  /** Beyond that, for what may come. */
  readonly spare: number;
}

/**
 * In the order of `wanted`. `turn`: where slots cannot be divided evenly, some get one more; whom, moves on with the turns, so that over
 * time all have the same, also where there are more replicas than slots.
 */
export function fairShares(slots: number, wanted: readonly Wanted[], turn: number): readonly number[] {
  const needed = divide(
    slots,
    wanted.map(({ needs }) => needs),
    turn,
  );
  const left = slots - needed.reduce((sum, share) => sum + share, 0);
  if (left === 0) return needed;
  const spare = divide(
    left,
    wanted.map((each) => each.spare),
    0,
  );
  return needed.map((share, index) => share + (spare[index] ?? 0));
}

function divide(slots: number, wants: readonly number[], turn: number): readonly number[] {
  const { level, more, served } = levelOf(slots, wants);
  if (more === 0) return wants.map((want) => Math.min(want, level));
  const count = wants.length - served;
  let position = 0;
  return wants.map((want) => {
    if (want <= level) return want;
    const place = (position + turn * more) % count;
    position += 1;
    return place < more ? level + 1 : level;
  });
}

/** Who wants no more than the level gets it; the others get the level, and `more` of them one more. `served`: how many want no more. */
function levelOf(
  slots: number,
  wants: readonly number[],
): { readonly level: number; readonly more: number; readonly served: number } {
  const ascending = [...wants].sort((one, other) => one - other);
  let left = slots;
  for (const [served, want] of ascending.entries()) {
    const count = ascending.length - served;
    const level = Math.floor(left / count);
    if (want > level) return { level, more: left - level * count, served };
    left -= want;
  }
  return { level: Number.POSITIVE_INFINITY, more: 0, served: wants.length };
}

/**
 * What a replica may use that knows no more than how many there were: all together, never more than the slots. `rank`: its place among
 * them, from 0; `offset`: of the target, so that what cannot be divided goes to others at each target.
 */
export function evenShare({
  slots,
  replicas,
  rank,
  offset,
}: {
  readonly slots: number;
  readonly replicas: number;
  readonly rank: number;
  readonly offset: number;
}): number {
  if (replicas === 0) return 0;
  const more = (rank + offset) % replicas < slots % replicas ? 1 : 0;
  return Math.floor(slots / replicas) + more;
}
