/**
 * The counters of one kind (keys by the minute, addresses by the day, …): at most `maxCounters`. Pure: times are arguments. Invariant: a
 * counter that is not idle is never dropped, which would forget what was counted; beyond `maxCounters`, new ones share one overflow counter.
 * The queue is in the order of `listedAt`, and a counter is looked at once it has been in its place for the length of its window: an idle
 * one is dropped, another goes to the end. So each is moved once in a window, not at each request, and an idle one is always among the
 * first, which `open` looks through when there is no room.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { AmountWindows } from './amount-windows.ts';
import { type CounterRecords, FAMILY, NEXT, NONE, SUM } from './counter-records.ts';
import type { Bound } from './limit-store.ts';
import type { Moment } from './moment.ts';

/** So long after its end a period's counter is kept: a wall clock that was set forward by mistake, and then back, forgets nothing. */
const PERIOD_KEPT_MS = 3_600_000;

/** How soon a counter of requests at the same time is looked at: it has no window. */
const NOW_LISTED_MS = 1000;

/** What all families of a store have in common. */
interface CounterFamilyOptions {
  readonly records: CounterRecords;
  readonly windows: AmountWindows;
  readonly maxCounters: () => number;
  /** The family of that number. */
  readonly familyOf: (number: number) => CounterFamily | undefined;
  /** The counter has been dropped, and its number means nothing any more. */
  readonly forget: (counter: number) => void;
}

export class CounterFamily {
  /** By which the store finds it. */
  readonly key: string;
  readonly number: number;
  readonly bound: Bound;
  readonly #options: CounterFamilyOptions;
  #head: number;
  #tail: number;
  #size: number;
  #overflow: number;

  /** `bound`: of one of its counters; they may differ in their limit alone. */
  constructor(
    { key, number, bound }: Pick<CounterFamily, 'key' | 'number' | 'bound'>,
    options: CounterFamilyOptions,
  ) {
    this.key = key;
    this.number = number;
    this.bound = bound;
    this.#options = options;
    this.#head = NONE;
    this.#tail = NONE;
    this.#size = 0;
    this.#overflow = NONE;
  }

  get size(): number {
    return this.#size;
  }

  /** Where nothing is counted by that name yet: the counter that is shared, NONE while there is room. */
  shared(moment: Moment): number {
    const { records, maxCounters } = this.#options;
    while (this.#size >= maxCounters()) if (!this.#lookAtFirst(moment)) break;
    if (this.#size < maxCounters()) return NONE;
    if (this.#overflow === NONE) this.#overflow = records.open(this.number);
    return this.#overflow;
  }

  /** A counter for itself: `shared` gave none. */
  open(moment: Moment): number {
    const counter = this.#options.records.open(this.number);
    this.#append(counter, moment.now);
    this.#size += 1;
    return counter;
  }

  /** Its window has another length now. It stays in the queue of its former family until that looks at it. */
  adopt(counter: number): void {
    const { records } = this.#options;
    const former = this.#familyOf(counter);
    if (counter === former.#overflow) return;
    former.#size -= 1;
    records.setInteger(counter, FAMILY, this.number);
    this.#size += 1;
  }

  /** Looks at the first counter, where its time has come. */
  sweep(moment: Moment): void {
    this.#lookAtFirst(moment);
  }

  /** The family is over, with no counter but the shared one. */
  close(): void {
    if (this.#overflow !== NONE) this.#drop(this.#overflow);
    this.#overflow = NONE;
  }

  /** Whether one was looked at. */
  #lookAtFirst(moment: Moment): boolean {
    const { records, forget } = this.#options;
    const counter = this.#head;
    if (counter === NONE || !this.#isDue(counter, moment)) return false;
    this.#head = records.integer(counter, NEXT);
    if (this.#head === NONE) this.#tail = NONE;
    records.setInteger(counter, NEXT, NONE);
    const family = this.#familyOf(counter);
    if (family.#isIdle(counter, moment)) {
      family.#size -= 1;
      forget(counter);
      this.#drop(counter);
    } else family.#append(counter, moment.now);
    return true;
  }

  #drop(counter: number): void {
    this.#options.windows.clear(counter);
    this.#options.records.close(counter);
  }

  /** A counter's family has counters, and so is there. */
  #familyOf(counter: number): CounterFamily {
    return this.#options.familyOf(this.#options.records.integer(counter, FAMILY)) ?? this;
  }

  #isDue(counter: number, moment: Moment): boolean {
    const { bound } = this;
    const listedAt = this.#options.records.listedAt(counter);
    switch (bound.kind) {
      case 'window':
        return moment.now - listedAt >= bound.windowMs;
      case 'period':
        return isForgotten(bound.endsAt, moment.wallNow);
      case 'now':
        return moment.now - listedAt >= NOW_LISTED_MS;
      default:
        throw bound satisfies never;
    }
  }

  #isIdle(counter: number, moment: Moment): boolean {
    const { bound } = this;
    const { records, windows } = this.#options;
    if (bound.kind === 'window') {
      windows.expire(counter, moment.now, bound.windowMs);
      return windows.entries(counter) === 0;
    }
    return bound.kind === 'period'
      ? isForgotten(bound.endsAt, moment.wallNow)
      : records.number(counter, SUM) <= 0;
  }

  #append(counter: number, now: Milliseconds): void {
    const { records } = this.#options;
    records.setListedAt(counter, now);
    if (this.#tail === NONE) this.#head = counter;
    else records.setInteger(this.#tail, NEXT, counter);
    this.#tail = counter;
  }
}

function isForgotten(endsAt: Milliseconds, wallNow: Milliseconds): boolean {
  return wallNow >= endsAt + PERIOD_KEPT_MS;
}
