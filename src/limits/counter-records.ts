/**
 * The numbers of all counters, 64 bytes each, side by side in one array: with many keys a decision waits for memory, and here it waits once
 * for a counter. A counter is its number. Owns the records; a number whose counter was closed is given to another, with a newer generation.
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
  /** How many were closed, ever: the generation of the next one that is opened with a number that was another's. Goes round after 2^32. */
  #closed: number;

  constructor() {
    const memory = new ArrayBuffer(INITIAL_RECORDS * RECORD_BYTES);
    this.#numbers = new Float64Array(memory);
    this.#integers = new Int32Array(memory);
    this.#listedAt = new Float64Array(INITIAL_RECORDS);
    this.#used = 0;
    this.#firstClosed = NONE;
    this.#closed = 0;
  }

  /** Of any counter that is open, and stays so, its generation is not newer than this. */
  get newestGeneration(): number {
    return this.#closed;
  }

  /** Whether its number is that of the counter that was open when `newestGeneration` was that. */
  isSince(counter: number, newestGeneration: number): boolean {
    return ((this.integer(counter, GENERATION) - newestGeneration) | 0) <= 0;
  }

  open(family: number): number {
    const counter = this.#firstClosed === NONE ? this.#added() : this.#reopened();
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
    this.#closed = (this.#closed + 1) | 0;
    this.setInteger(counter, GENERATION, this.#closed);
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
    const listedAt = this.#listedAt;
    this.#listedAt = new Float64Array(2 * listedAt.length);
    this.#listedAt.set(listedAt);
  }
}
