/**
 * Pure: which line of the queue a wait is drawn in. It keeps its line, gets the lowest one that is free, and never shares a stretch of
 * time with another wait in its line; also where the waits of a stretch become known out of order, and where an end that was assumed
 * turns out to have been later.
 */

/** Milliseconds; `end` is null while it goes on. */
export interface Stretch {
  readonly start: number;
  readonly end: number | null;
}

interface Placed extends Stretch {
  readonly key: string;
}

const endOf = ({ end }: Stretch): number => end ?? Number.POSITIVE_INFINITY;

/** One that ends when the next begins does not overlap it. A stretch without a length overlaps what goes on around it. */
export function overlaps(one: Stretch, other: Stretch): boolean {
  return one.start < endOf(other) && other.start < endOf(one);
}

export class Lanes {
  /** Of each lane, by their start. */
  readonly #lanes: Placed[][] = [];
  readonly #laneOf = new Map<string, number>();

  laneOf(key: string): number | undefined {
    return this.#laneOf.get(key);
  }

  /** Places a bar, or notes what is now known of one that is placed; returns its lane. */
  place(key: string, stretch: Stretch): number {
    const before = this.#laneOf.get(key);
    if (before !== undefined) {
      this.#remove(key, before);
      if (this.#fits(before, stretch)) return this.#add(key, stretch, before);
    }
    let lane = 0;
    while (!this.#fits(lane, stretch)) lane += 1;
    return this.#add(key, stretch, lane);
  }

  delete(key: string): void {
    const lane = this.#laneOf.get(key);
    if (lane === undefined) return;
    this.#remove(key, lane);
    this.#laneOf.delete(key);
    while (this.#lanes.at(-1)?.length === 0) this.#lanes.pop();
  }

  #fits(lane: number, stretch: Stretch): boolean {
    const placed = this.#lanes[lane] ?? [];
    // What ended before it began, and all before that, is out of its way.
    for (let at = placed.length - 1; at >= 0; at -= 1) {
      const other = placed[at];
      if (other === undefined || endOf(other) <= stretch.start) return true;
      if (overlaps(other, stretch)) return false;
    }
    return true;
  }

  #add(key: string, stretch: Stretch, lane: number): number {
    while (this.#lanes.length <= lane) this.#lanes.push([]);
    const placed = this.#lanes[lane] ?? [];
    let at = placed.length;
    while (at > 0 && (placed[at - 1]?.start ?? 0) > stretch.start) at -= 1;
    placed.splice(at, 0, { key, start: stretch.start, end: stretch.end });
    this.#laneOf.set(key, lane);
    return lane;
  }

  #remove(key: string, lane: number): void {
    const placed = this.#lanes[lane] ?? [];
    let at = placed.length - 1;
    while (at >= 0 && placed[at]?.key !== key) at -= 1;
    if (at >= 0) placed.splice(at, 1);
  }
}
