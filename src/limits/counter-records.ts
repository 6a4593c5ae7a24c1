/**
 * The numbers of all counters, 64 bytes each, side by side in one array: with many keys a decision waits for memory, and here it waits once
 * for a counter. A counter is its number. Owns the records; a number whose counter was closed is given to another, with another generation.
 */
import type { Milliseconds } from '../core/clock.ts';

/**
 * What a record has, as places in it: eight-byte numbers, and integers of four bytes between them in the same memory. What each decision
 * looks at comes first, in 48 bytes: a large array begins 16 bytes into a cache line, so they are one line, and the rest is the next.
 */
export const SUM = 0;
/** The time of the oldest entry of a window; Infinity: it has none. */
export const OLDEST_AT = 1;
/** When the newest entry's first amount came. */
export const NEWEST_BEGAN_AT = 2;
/** Of a period, in the same place: what of its sum is held for requests under way; below 0: nothing was yet. */
export const HELD = 2;
/** The entries of a window: their block, its size, which is the oldest, and how many there are. */
export const BLOCK = 6;
export const CAPACITY = 7;
export const FIRST = 8;
export const COUNT = 9;
export const FAMILY = 10;
export const GENERATION = 11;
/** In the family's queue, or among the closed ones. */
export const NEXT = 12;
/** A number: the time of the last entry that left. */
export const LEFT_THROUGH = 7;

/** No counter. */
export const NONE = -1;

const INITIAL_RECORDS = 64;
const RECORD_BYTES = 64;

export class CounterRecords {
  /** Of each counter eight, */
  #numbers: Float64Array;
  /** or sixteen of these, in the same memory. */
  #integers: Int32Array;
  /** Apart: only whoever sweeps looks at it. */
  #listedAt: Float64Array;
  #used: number;
  #firstClosed: number;
  /** How many had been closed when it was opened; Infinity: it is closed. Apart too: only whoever settles looks at it. */
  #openedAfter: Float64Array;
  #closed: number;

  constructor() {
    const memory = new ArrayBuffer(INITIAL_RECORDS * RECORD_BYTES);
    this.#numbers = new Float64Array(memory);
    this.#integers = new Int32Array(memory);
    this.#listedAt = new Float64Array(INITIAL_RECORDS);
    this.#openedAfter = new Float64Array(INITIAL_RECORDS);
    this.#used = 0;
    this.#firstClosed = NONE;
    this.#closed = 0;
  }

  /** How many were closed, ever. */
  get closed(): number {
    return this.#closed;
  }

  /** Whether a number that was a counter's when so many had been closed still is that counter's. */
  isSince(counter: number, closed: number): boolean {
    return (this.#openedAfter[counter] as number) <= closed;
  }

  open(family: number): number {
    const counter = this.#firstClosed === NONE ? this.#added() : this.#reopened();
    this.#openedAfter[counter] = this.#closed;
    this.setNumber(counter, SUM, 0);
    this.setNumber(counter, OLDEST_AT, Number.POSITIVE_INFINITY);
    this.setNumber(counter, NEWEST_BEGAN_AT, Number.NEGATIVE_INFINITY);
    this.setNumber(counter, LEFT_THROUGH, Number.NEGATIVE_INFINITY);
    for (const place of [CAPACITY, FIRST, COUNT]) this.setInteger(counter, place, 0);
    this.setInteger(counter, FAMILY, family);
    this.setInteger(counter, NEXT, NONE);
    return counter;
  }

  close(counter: number): void {
    this.#closed += 1;
    this.#openedAfter[counter] = Number.POSITIVE_INFINITY;
    this.setInteger(counter, GENERATION, this.integer(counter, GENERATION) + 1);
    this.setInteger(counter, NEXT, this.#firstClosed);
    this.#firstClosed = counter;
  }

  // A counter that was opened has a record: none of its places is undefined.

  number(counter: number, place: number): number {
    return this.#numbers[8 * counter + place] as number;
  }

  setNumber(counter: number, place: number, value: number): void {
    this.#numbers[8 * counter + place] = value;
  }

  integer(counter: number, place: number): number {
    return this.#integers[16 * counter + place] as number;
  }

  setInteger(counter: number, place: number, value: number): void {
    this.#integers[16 * counter + place] = value;
  }

  /** When it was put into its family's queue. */
  listedAt(counter: number): Milliseconds {
    return this.#listedAt[counter] as number;
  }

  setListedAt(counter: number, at: Milliseconds): void {
    this.#listedAt[counter] = at;
  }

  #added(): number {
    if (this.#used === this.#listedAt.length) this.#grow();
    this.#used += 1;
    return this.#used - 1;
  }

  #reopened(): number {
    const counter = this.#firstClosed;
    this.#firstClosed = this.integer(counter, NEXT);
    return counter;
  }

  #grow(): void {
    const former = this.#integers;
    const memory = new ArrayBuffer(2 * former.byteLength);
    this.#numbers = new Float64Array(memory);
    this.#integers = new Int32Array(memory);
    this.#integers.set(former);
    this.#listedAt = twiceAsLong(this.#listedAt);
    this.#openedAfter = twiceAsLong(this.#openedAfter);
  }
}

function twiceAsLong(array: Float64Array): Float64Array {
  const longer = new Float64Array(2 * array.length);
  longer.set(array);
  return longer;
}
