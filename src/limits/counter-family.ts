/**
 * The counters of one kind (keys by the minute, addresses by the day, …): at most `maxCounters`. Pure: times are arguments. Invariant: a
 * counter that is not idle is never dropped, which would forget what was counted; beyond `maxCounters`, new ones share one overflow counter.
 * The queue is in the order of `listedAt`, and a counter is looked at once it has been in its place for the length of its window: an idle
 * one is dropped, another goes to the end. So each is moved once in a window, not at each request, and an idle one is always among the
 * first, which `open` looks through when there is no room.
 */
import type { Milliseconds } from '../core/clock.ts';
import { AmountWindow } from './amount-window.ts';
import type { Bound } from './limit-store.ts';

/** So long after its end a period's counter is kept: a wall clock that was set forward by mistake, and then back, forgets nothing. */
const PERIOD_KEPT_MS = 3_600_000;

/** How soon a counter of requests at the same time is looked at: it has no window. */
const NOW_LISTED_MS = 1000;

export class Counter {
  readonly name: string;
  family: CounterFamily;
  /** Undefined: a plain sum, of a period or of requests at the same time. */
  readonly window: AmountWindow | undefined;
  sum: number;
  /** Nothing is counted in it any more: another has its name, or will. */
  isDropped: boolean;
  listedAt: Milliseconds;
  /** In the queue. */
  next: Counter | undefined;

  constructor(name: string, family: CounterFamily, now: Milliseconds) {
    this.name = name;
    this.family = family;
    this.window = family.bound.kind === 'window' ? new AmountWindow() : undefined;
    this.sum = 0;
    this.isDropped = false;
    this.listedAt = now;
    this.next = undefined;
  }
}

/** By the wall clock, which periods end by. */
interface Moment {
  readonly now: Milliseconds;
  readonly wallNow: Milliseconds;
}

export class CounterFamily {
  readonly bound: Bound;
  /** The store that has it. */
  readonly owner: object;
  readonly #maxCounters: () => number;
  readonly #forget: (counter: Counter) => void;
  #head: Counter | undefined;
  #tail: Counter | undefined;
  #size: number;
  #overflow: Counter | undefined;

  /** `bound`: of one of its counters; they may differ in their limit alone. `forget`: the counter has been dropped. */
  constructor(
    bound: Bound,
    {
      owner,
      maxCounters,
      forget,
    }: {
      readonly owner: object;
      readonly maxCounters: () => number;
      readonly forget: (counter: Counter) => void;
    },
  ) {
    this.bound = bound;
    this.owner = owner;
    this.#maxCounters = maxCounters;
    this.#forget = forget;
    this.#head = undefined;
    this.#tail = undefined;
    this.#size = 0;
    this.#overflow = undefined;
  }

  get size(): number {
    return this.#size;
  }

  /** Where nothing is counted by that name yet: the counter that is shared, undefined while there is room. */
  shared(moment: Moment): Counter | undefined {
    while (this.#size >= this.#maxCounters()) if (!this.#lookAtFirst(moment)) break;
    if (this.#size < this.#maxCounters()) return undefined;
    this.#overflow ??= new Counter('', this, moment.now);
    return this.#overflow;
  }

  /** A counter for itself: `shared` gave none. */
  open(name: string, moment: Moment): Counter {
    // More than one: idle ones become fewer as others come.
    this.sweep(moment);
    this.sweep(moment);
    const counter = new Counter(name, this, moment.now);
    this.#append(counter, moment.now);
    this.#size += 1;
    return counter;
  }

  /** Its window has another length now. It stays in the queue of its former family until that looks at it. */
  adopt(counter: Counter): void {
    if (counter === counter.family.#overflow) return;
    counter.family.#size -= 1;
    counter.family = this;
    this.#size += 1;
  }

  /** Looks at the first counter, where its time has come. */
  sweep(moment: Moment): void {
    this.#lookAtFirst(moment);
  }

  /** Whether one was looked at. */
  #lookAtFirst(moment: Moment): boolean {
    const counter = this.#head;
    if (counter === undefined || !this.#isDue(counter, moment)) return false;
    this.#head = counter.next;
    if (this.#head === undefined) this.#tail = undefined;
    counter.next = undefined;
    const { family } = counter;
    if (family.#isIdle(counter, moment)) {
      family.#size -= 1;
      counter.isDropped = true;
      this.#forget(counter);
    } else family.#append(counter, moment.now);
    return true;
  }

  #isDue({ listedAt }: Counter, { now, wallNow }: Moment): boolean {
    const { bound } = this;
    switch (bound.kind) {
      case 'window':
        return now - listedAt >= bound.windowMs;
      case 'period':
        return isForgotten(bound.endsAt, wallNow);
      case 'now':
        return now - listedAt >= NOW_LISTED_MS;
      default:
        throw bound satisfies never;
    }
  }

  #isIdle(counter: Counter, { now, wallNow }: Moment): boolean {
    const { bound } = this;
    if (bound.kind === 'window') {
      counter.window?.expire(now, bound.windowMs);
      return counter.window?.entries === 0;
    }
    return bound.kind === 'period' ? isForgotten(bound.endsAt, wallNow) : counter.sum <= 0;
  }

  #append(counter: Counter, now: Milliseconds): void {
    counter.listedAt = now;
    if (this.#tail === undefined) this.#head = counter;
    else this.#tail.next = counter;
    this.#tail = counter;
  }
}

function isForgotten(endsAt: Milliseconds, wallNow: Milliseconds): boolean {
  return wallNow >= endsAt + PERIOD_KEPT_MS;
}
