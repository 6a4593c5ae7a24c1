/**
 * Amounts with the times at which they were counted, of the last `windowMs`, and their exact sum: a ring, oldest first. Pure: times are
 * arguments and never go back. Amounts that come within `joinWithinMs` of each other are one entry, at the time of the last: it is never
 * too small a sum, and each amount leaves it at most that much too late.
 */
import type { Milliseconds } from '../core/clock.ts';

const INITIAL_ENTRIES = 4;

export class AmountWindow {
  /** Of each entry its time and its amount. Two numbers a cell in one array: a decision touches few cache lines. */
  #cells: number[];
  #first: number;
  #count: number;
  #sum: number;
  /** When the newest entry's first amount came. */
  #newestBeganAt: Milliseconds;
  /** The time of the last entry that left. */
  #leftThrough: Milliseconds;

  constructor() {
    this.#cells = new Array<number>(2 * INITIAL_ENTRIES).fill(0);
    this.#first = 0;
    this.#count = 0;
    this.#sum = 0;
    this.#newestBeganAt = Number.NEGATIVE_INFINITY;
    this.#leftThrough = Number.NEGATIVE_INFINITY;
  }

  get sum(): number {
    return this.#sum;
  }

  get entries(): number {
    return this.#count;
  }

  /** What was counted `windowMs` ago or longer leaves. */
  expire(now: Milliseconds, windowMs: Milliseconds): void {
    const leaves = now - windowMs;
    while (this.#count > 0) {
      const at = this.#first * 2;
      const time = this.#cells[at] ?? 0;
      if (time > leaves) return;
      this.#sum -= this.#cells[at + 1] ?? 0;
      this.#leftThrough = time;
      this.#first = (this.#first + 1) % this.#capacity;
      this.#count -= 1;
    }
  }

  add(now: Milliseconds, amount: number, joinWithinMs: Milliseconds): void {
    this.#sum += amount;
    if (this.#count > 0 && now - this.#newestBeganAt <= joinWithinMs) {
      const newest = this.#cell(this.#count - 1);
      this.#cells[newest] = now;
      this.#cells[newest + 1] = (this.#cells[newest + 1] ?? 0) + amount;
      return;
    }
    if (this.#count === this.#capacity) this.#grow();
    const cell = this.#cell(this.#count);
    this.#cells[cell] = now;
    this.#cells[cell + 1] = amount;
    this.#count += 1;
    this.#newestBeganAt = now;
  }

  /** What was counted at `at` becomes `less` smaller. Nothing happens where it has left. */
  reduce(at: Milliseconds, less: number): void {
    if (less === 0 || at <= this.#leftThrough) return;
    const index = this.#indexOf(at);
    if (index === this.#count) return;
    const cell = this.#cell(index);
    const amount = (this.#cells[cell + 1] ?? 0) - less;
    this.#sum -= less;
    this.#cells[cell + 1] = amount;
    if (amount <= 0) this.#remove(index);
  }

  /** Until `excess` of the sum has left: at most `windowMs`. */
  waitMs(excess: number, now: Milliseconds, windowMs: Milliseconds): Milliseconds {
    let leaving = 0;
    for (let index = 0; index < this.#count; index += 1) {
      const cell = this.#cell(index);
      leaving += this.#cells[cell + 1] ?? 0;
      if (leaving >= excess) return Math.max(0, windowMs - (now - (this.#cells[cell] ?? 0)));
    }
    return 0;
  }

  get #capacity(): number {
    return this.#cells.length / 2;
  }

  #cell(index: number): number {
    return ((this.#first + index) % this.#capacity) * 2;
  }

  /** The entry that has what was counted at that time: the first that is not older. */
  #indexOf(at: Milliseconds): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cells[this.#cell(middle)] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #remove(index: number): void {
    this.#sum -= this.#cells[this.#cell(index) + 1] ?? 0;
    for (let moved = index; moved < this.#count - 1; moved += 1) {
      const cell = this.#cell(moved);
      const next = this.#cell(moved + 1);
      this.#cells[cell] = this.#cells[next] ?? 0;
      this.#cells[cell + 1] = this.#cells[next + 1] ?? 0;
    }
    this.#count -= 1;
    // The entry before it takes no more.
    if (index === this.#count) this.#newestBeganAt = Number.NEGATIVE_INFINITY;
  }

  #grow(): void {
    const grown = new Array<number>(this.#cells.length * 2).fill(0);
    for (let index = 0; index < this.#count; index += 1) {
      const cell = this.#cell(index);
      grown[index * 2] = this.#cells[cell] ?? 0;
      grown[index * 2 + 1] = this.#cells[cell + 1] ?? 0;
    }
    this.#cells = grown;
    this.#first = 0;
  }
}
