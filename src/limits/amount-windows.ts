/**
 * Of each counter with a window the amounts with the times at which they were counted, of the last `windowMs`, and their exact sum: a ring,
 * oldest first, in a block of cells. Pure: times are arguments and never go back. Amounts that come within `joinWithinMs` of each other are
 * one entry, at the time of the last: it is never too small a sum, and each amount leaves it at most that much too late.
 */
import type { Milliseconds } from '../core/clock.ts';
import { CellBlocks } from './cell-blocks.ts';
import {
  BLOCK,
  CAPACITY,
  COUNT,
  type CounterRecords,
  FIRST,
  LEFT_THROUGH,
  NEWEST_BEGAN_AT,
  OLDEST_AT,
  SUM,
} from './counter-records.ts';

const INITIAL_ENTRIES = 4;
/** An entry is its time, then its amount. */
const ENTRY_CELLS = 2;

export class AmountWindows {
  readonly #records: CounterRecords;
  readonly #blocks = new CellBlocks();

  constructor(records: CounterRecords) {
    this.#records = records;
  }

  entries(counter: number): number {
    return this.#records.integer(counter, COUNT);
  }

  /** What was counted `windowMs` ago or longer leaves. */
  expire(counter: number, now: Milliseconds, windowMs: Milliseconds): void {
    // The record says whether there is any, so the entries need not be touched.
    while (this.#records.number(counter, OLDEST_AT) <= now - windowMs) this.#dropOldest(counter);
  }

  add(counter: number, now: Milliseconds, amount: number, joinWithinMs: Milliseconds): void {
    const count = this.#records.integer(counter, COUNT);
    this.#records.setNumber(counter, SUM, this.#records.number(counter, SUM) + amount);
    if (count > 0 && now - this.#records.number(counter, NEWEST_BEGAN_AT) <= joinWithinMs) {
      const cells = this.#cells(counter);
      const newest = this.#cellOf(counter, count - 1);
      cells[newest] = now;
      cells[newest + 1] = (cells[newest + 1] as number) + amount;
      if (count === 1) this.#records.setNumber(counter, OLDEST_AT, now);
      return;
    }
    if (count === this.#records.integer(counter, CAPACITY)) this.#grow(counter);
    const cells = this.#cells(counter);
    const cell = this.#cellOf(counter, count);
    cells[cell] = now;
    cells[cell + 1] = amount;
    this.#records.setInteger(counter, COUNT, count + 1);
    this.#records.setNumber(counter, NEWEST_BEGAN_AT, now);
    if (count === 0) this.#records.setNumber(counter, OLDEST_AT, now);
  }

  /** What was counted at `at` becomes `less` smaller. Nothing happens where it has left. */
  reduce(counter: number, at: Milliseconds, less: number): void {
    if (less === 0 || at <= this.#records.number(counter, LEFT_THROUGH)) return;
    const index = this.#indexOf(counter, at);
    if (index === this.#records.integer(counter, COUNT)) return;
    const cells = this.#cells(counter);
    const cell = this.#cellOf(counter, index);
    const amount = (cells[cell + 1] as number) - less;
    this.#records.setNumber(counter, SUM, this.#records.number(counter, SUM) - less);
    cells[cell + 1] = amount;
    if (amount <= 0) this.#remove(counter, index);
  }

  /** Until `excess` of the sum has left: at most `windowMs`. */
  waitMs(counter: number, excess: number, now: Milliseconds, windowMs: Milliseconds): Milliseconds {
    const count = this.#records.integer(counter, COUNT);
    let leaving = 0;
    for (let index = 0; index < count; index += 1) {
      const cells = this.#cells(counter);
      const cell = this.#cellOf(counter, index);
      leaving += cells[cell + 1] as number;
      if (leaving >= excess) return Math.max(0, windowMs - (now - (cells[cell] as number)));
    }
    return 0;
  }

  /** Gives back its memory: the counter is closed next. */
  clear(counter: number): void {
    const capacity = this.#records.integer(counter, CAPACITY);
    if (capacity > 0) this.#blocks.giveBack(this.#records.integer(counter, BLOCK), capacity * ENTRY_CELLS);
    this.#records.setInteger(counter, CAPACITY, 0);
  }

  #dropOldest(counter: number): void {
    const cells = this.#cells(counter);
    const cell = this.#cellOf(counter, 0);
    this.#records.setNumber(counter, SUM, this.#records.number(counter, SUM) - (cells[cell + 1] as number));
    this.#records.setNumber(counter, LEFT_THROUGH, cells[cell] as number);
    const first = this.#records.integer(counter, FIRST) + 1;
    this.#records.setInteger(counter, FIRST, first & (this.#records.integer(counter, CAPACITY) - 1));
    this.#records.setInteger(counter, COUNT, this.#records.integer(counter, COUNT) - 1);
    this.#noteOldest(counter);
  }

  #remove(counter: number, index: number): void {
    const cells = this.#cells(counter);
    const count = this.#records.integer(counter, COUNT);
    this.#records.setNumber(
      counter,
      SUM,
      this.#records.number(counter, SUM) - (cells[this.#cellOf(counter, index) + 1] as number),
    );
    for (let moved = index; moved < count - 1; moved += 1) {
      const next = this.#cellOf(counter, moved + 1);
      cells.copyWithin(this.#cellOf(counter, moved), next, next + ENTRY_CELLS);
    }
    this.#records.setInteger(counter, COUNT, count - 1);
    // The entry before it takes no more.
    if (index === count - 1) this.#records.setNumber(counter, NEWEST_BEGAN_AT, Number.NEGATIVE_INFINITY);
    this.#noteOldest(counter);
  }

  #noteOldest(counter: number): void {
    const oldestAt =
      this.#records.integer(counter, COUNT) === 0
        ? Number.POSITIVE_INFINITY
        : (this.#cells(counter)[this.#cellOf(counter, 0)] as number);
    this.#records.setNumber(counter, OLDEST_AT, oldestAt);
  }

  /** The entry that has what was counted at that time: the first that is not older. */
  #indexOf(counter: number, at: Milliseconds): number {
    const cells = this.#cells(counter);
    let low = 0;
    let high = this.#records.integer(counter, COUNT);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((cells[this.#cellOf(counter, middle)] as number) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(counter: number): void {
    const count = this.#records.integer(counter, COUNT);
    const capacity = count === 0 ? INITIAL_ENTRIES : 2 * count;
    const block = this.#blocks.take(capacity * ENTRY_CELLS);
    const grown = this.#blocks.cellsOf(block);
    const begin = this.#blocks.beginOf(block);
    for (let index = 0; index < count; index += 1) {
      const cells = this.#cells(counter);
      const cell = this.#cellOf(counter, index);
      grown[begin + index * ENTRY_CELLS] = cells[cell] as number;
      grown[begin + index * ENTRY_CELLS + 1] = cells[cell + 1] as number;
    }
    this.clear(counter);
    this.#records.setInteger(counter, BLOCK, block);
    this.#records.setInteger(counter, CAPACITY, capacity);
    this.#records.setInteger(counter, FIRST, 0);
  }

  #cells(counter: number): Float64Array {
    return this.#blocks.cellsOf(this.#records.integer(counter, BLOCK));
  }

  /** Where in them the entry is. */
  #cellOf(counter: number, index: number): number {
    const inRing =
      (this.#records.integer(counter, FIRST) + index) & (this.#records.integer(counter, CAPACITY) - 1);
    return this.#blocks.beginOf(this.#records.integer(counter, BLOCK)) + inRing * ENTRY_CELLS;
  }
}
