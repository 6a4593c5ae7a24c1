/**
 * Limits counted in this process, exactly: a decision and what it counts happen in one turn. Pure: the clock is an argument. Owns all
 * counters, at most `maxKeys` for each kind of bound and each scope (the first part of a counter's name).
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { AmountWindows } from './amount-windows.ts';
import { CounterFamily } from './counter-family.ts';
import { CounterRecords, FAMILY, GENERATION, HELD, NONE, SUM } from './counter-records.ts';
import {
  type Bound,
  type Charge,
  type CounterPlace,
  type CounterState,
  isHeld,
  type LimitAdmission,
  type LimitDecision,
  type LimitStore,
  UNKNOWN_WAIT_MS,
  type UsedSoFar,
} from './limit-store.ts';
import { Moment } from './moment.ts';

interface MemoryLimitStoreOptions {
  /** Windows go by the monotonic clock, periods by the wall clock. */
  readonly clock: Pick<Clock, 'now' | 'wallNow'>;
  /** Counters of a kind that are kept; more share one. */
  readonly maxKeys: () => number;
}

interface MemoryAdmission extends LimitAdmission {
  readonly at: Milliseconds;
  /** In the order of the charges. */
  readonly counters: readonly number[];
  /** How many counters had been closed then: one that was opened after more is another. */
  readonly closed: number;
  /** Of each charge, what was counted of it while it ran. */
  grown: number[] | undefined;
}

export class MemoryLimitStore implements LimitStore {
  readonly isShared = false;
  readonly #options: MemoryLimitStoreOptions;
  readonly #records = new CounterRecords();
  readonly #windows = new AmountWindows(this.#records);
  readonly #counters = new Map<string, number>();
  /** Of each counter; the one that a family shares has none. */
  readonly #names: string[] = [];
  readonly #families = new Map<string, CounterFamily>();
  readonly #familyByNumber: (CounterFamily | undefined)[] = [];
  /** Counters that were dropped, ever. */
  #drops = 0;
  /** The kinds in turn: the one of that number is swept with the next decision, whatever it is about. */
  #swept = 0;
  /** What budgets begin with, by their counters, until those are opened: most may never be. */
  readonly #begun = new Map<string, number>();
  readonly #moment: Moment;

  constructor(options: MemoryLimitStoreOptions) {
    this.#options = options;
    this.#moment = new Moment(options.clock);
  }

  /** Counters that are kept. */
  get size(): number {
    return this.#counters.size;
  }

  /** A counter of a period that is not opened yet begins with that amount. */
  begin(counter: string, amount: number): void {
    this.#begun.set(counter, amount);
  }

  decide(charges: readonly Charge[]): LimitDecision {
    this.#moment.advance();
    // 1. Where all counters are, before any is looked at: memory is asked for all of them at the same time.
    const counters = this.#findAll(charges);
    // 2. All charges must fit.
    let fits = true;
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index] as Charge;
      const used = this.#used(counters[index] as number, charge);
      if (used + Math.max(1, charge.amount) > charge.bound.limit) fits = false;
    }
    // 3. Then all are counted, or none.
    const isNew = counters.includes(NONE) ? counters.map((counter) => counter === NONE) : undefined;
    const admission = fits ? this.#count(charges, counters) : undefined;
    const states = new Array<CounterState>(charges.length);
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index] as Charge;
      const counter = counters[index] as number;
      states[index] = this.#stateOf(counter, charge, this.#sum(counter, charge));
    }
    // 4. No counter was dropped so far: its number may be that of another, then.
    if (admission !== undefined) this.#sweepCounted(admission, isNew);
    this.#sweepNextFamily();
    return { admission, states };
  }

  countRunning(running: readonly UsedSoFar[]): void {
    this.#moment.advance();
    for (const { admission, amounts } of running) {
      const known = admission as MemoryAdmission;
      for (let index = 0; index < known.charges.length; index += 1) {
        const charge = known.charges[index] as Charge;
        const { bound, amount } = charge;
        const more = (amounts[index] ?? 0) - amount - (known.grown?.[index] ?? 0);
        if (more <= 0 || bound.kind === 'now') continue;
        known.grown ??= new Array<number>(known.charges.length).fill(0);
        known.grown[index] = (known.grown[index] as number) + more;
        const isThere = this.#records.isSince(known.counters[index] as number, known.closed);
        this.#countMore(isThere ? (known.counters[index] as number) : this.#findOrOpen(charge), bound, more);
      }
    }
  }

  settle(admission: LimitAdmission, amounts: readonly (number | null)[]): void {
    const { charges, counters, closed, at, grown } = admission as MemoryAdmission;
    this.#moment.advance();
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index] as Charge;
      const { bound, amount } = charge;
      const counted = grown === undefined ? amount : amount + (grown[index] as number);
      const more = Math.max(-amount, (amounts[index] ?? counted) - counted);
      let counter = counters[index] as number;
      if (this.#records.isSince(counter, closed)) {
        if (isHeld(charge)) this.#addToHeld(counter, -amount);
      } else {
        // It looked idle: what it counted has left, or that was nothing.
        if (more <= 0) continue;
        counter = this.#findOrOpen(charge);
      }
      if (bound.kind === 'now') this.#addToSum(counter, -amount);
      else if (more > 0 || bound.kind === 'period') this.#countMore(counter, bound, more);
      else {
        this.#windows.expire(counter, this.#moment.now, bound.windowMs);
        this.#windows.reduce(counter, at, -more);
      }
    }
  }

  peek(charges: readonly Charge[]): readonly CounterState[] {
    this.#moment.advance();
    return charges.map((charge) => {
      const counter = this.#find(charge);
      return this.#stateOf(counter, charge, this.#used(counter, charge));
    });
  }

  async close(): Promise<void> {}

  /** To make room, one may be dropped that was found before it: then all are looked for again. */
  #findAll(charges: readonly Charge[]): number[] {
    for (;;) {
      const drops = this.#drops;
      const found = new Array<number>(charges.length);
      for (let index = 0; index < charges.length; index += 1)
        found[index] = this.#notedAt(charges[index] as Charge);
      for (let index = 0; index < charges.length; index += 1) {
        const charge = charges[index] as Charge;
        if (!this.#isStill(found[index] as number, charge)) found[index] = this.#findByName(charge);
      }
      if (drops === this.#drops) return found;
    }
  }

  /** Its own counter, or the one that it shares. NONE: nothing is counted yet. */
  #find(charge: Charge): number {
    const noted = this.#notedAt(charge);
    return this.#isStill(noted, charge) ? noted : this.#findByName(charge);
  }

  #notedAt({ place }: Charge): number {
    return place?.store === this ? place.number : NONE;
  }

  /** Whether the number that was noted has not been given to another counter. */
  #isStill(noted: number, { place }: Charge): boolean {
    return noted !== NONE && this.#records.integer(noted, GENERATION) === place?.generation;
  }

  /** Costs more than all the rest. */
  #findByName(charge: Charge): number {
    const known = this.#counters.get(charge.counter);
    if (known === undefined) {
      const shared = this.#familyFor(charge).shared(this.#moment);
      return shared === NONE ? this.#openBegun(charge) : shared;
    }
    this.#note(charge.place, known);
    return known;
  }

  #openBegun(charge: Charge): number {
    if (charge.bound.kind !== 'period') return NONE;
    const sum = this.#begun.get(charge.counter);
    if (sum === undefined) return NONE;
    this.#begun.delete(charge.counter);
    const counter = this.#open(charge);
    this.#addToSum(counter, sum);
    return counter;
  }

  #note(place: CounterPlace | undefined, counter: number): void {
    for (let noted = place; noted !== undefined; noted = noted.origin) {
      noted.store = this;
      noted.number = counter;
      noted.generation = this.#records.integer(counter, GENERATION);
    }
  }

  /** What counts by now. */
  #used(counter: number, charge: Charge): number {
    const { bound } = charge;
    if (counter !== NONE && bound.kind === 'window') {
      this.#followWindow(counter, charge, bound.windowMs);
      this.#windows.expire(counter, this.#moment.now, bound.windowMs);
    }
    return this.#sum(counter, charge);
  }

  /** Where what is too old has left. */
  #sum(counter: number, { bound }: Charge): number {
    if (counter === NONE || (bound.kind === 'period' && this.#moment.wallNow >= bound.endsAt)) return 0;
    return this.#records.number(counter, SUM);
  }

  /** The window may have another length by now. */
  #followWindow(counter: number, charge: Charge, windowMs: Milliseconds): void {
    const former = this.#familyOf(counter)?.bound;
    if (former?.kind === 'window' && former.windowMs !== windowMs) this.#familyFor(charge).adopt(counter);
  }

  #familyOf(counter: number): CounterFamily | undefined {
    return this.#familyByNumber[this.#records.integer(counter, FAMILY)];
  }

  #addToSum(counter: number, amount: number): void {
    this.#records.setNumber(counter, SUM, this.#records.number(counter, SUM) + amount);
  }

  #held(counter: number): number {
    return Math.max(0, this.#records.number(counter, HELD));
  }

  #addToHeld(counter: number, amount: number): void {
    this.#records.setNumber(counter, HELD, this.#held(counter) + amount);
  }

  /** `counters`: those that are there. Those that are opened are added. */
  #count(charges: readonly Charge[], counters: number[]): MemoryAdmission {
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index] as Charge;
      const { bound, amount } = charge;
      let counter = counters[index] as number;
      if (counter === NONE) {
        counter = this.#open(charge);
        counters[index] = counter;
      }
      if (amount === 0) continue;
      if (bound.kind === 'window')
        this.#windows.add(counter, this.#moment.now, amount, bound.joinWithinMs ?? 0);
      else this.#addToSum(counter, amount);
      if (isHeld(charge)) this.#addToHeld(counter, amount);
    }
    return { charges, at: this.#moment.now, counters, closed: this.#records.closed, grown: undefined };
  }

  /** Whatever the limit is. */
  #countMore(counter: number, bound: Bound, more: number): void {
    if (bound.kind === 'window') {
      const { now } = this.#moment;
      this.#windows.expire(counter, now, bound.windowMs);
      this.#windows.add(counter, now, more, bound.joinWithinMs ?? 0);
    } else this.#addToSum(counter, more);
  }

  #findOrOpen(charge: Charge): number {
    const found = this.#find(charge);
    return found === NONE ? this.#open(charge) : found;
  }

  #sweepCounted({ charges, counters }: MemoryAdmission, isNew: readonly boolean[] | undefined): void {
    for (let index = 0; index < charges.length; index += 1) {
      const family = this.#familyOf(counters[index] as number);
      if (charges[index]?.amount !== 0) family?.sweep(this.#moment);
      if (isNew?.[index] !== true) continue;
      // More than one for one that is new: idle ones become fewer as others come.
      family?.sweep(this.#moment);
      family?.sweep(this.#moment);
    }
  }

  #open(charge: Charge): number {
    const counter = this.#familyFor(charge).open(this.#moment);
    this.#counters.set(charge.counter, counter);
    this.#names[counter] = charge.counter;
    this.#note(charge.place, counter);
    return counter;
  }

  #stateOf(counter: number, { bound, amount }: Charge, used: number): CounterState {
    const { limit } = bound;
    const remaining = Math.max(0, limit - used);
    const wanted = Math.max(1, amount);
    if (wanted <= remaining) return { limit, remaining, retryInMs: 0 };
    if (wanted > limit) return { limit, remaining, retryInMs: Number.POSITIVE_INFINITY };
    return { limit, remaining, retryInMs: this.#waitMs(counter, bound, used + wanted - limit) };
  }

  #waitMs(counter: number, bound: Bound, excess: number): Milliseconds {
    switch (bound.kind) {
      case 'window':
        return counter === NONE ? 0 : this.#windows.waitMs(counter, excess, this.#moment.now, bound.windowMs);
      case 'period': {
        const untilEndMs = Math.max(0, bound.endsAt - this.#moment.wallNow);
        const isOnlyHeld = counter !== NONE && excess <= this.#held(counter);
        return isOnlyHeld ? Math.min(UNKNOWN_WAIT_MS, untilEndMs) : untilEndMs;
      }
      case 'now':
        return UNKNOWN_WAIT_MS;
      default:
        throw bound satisfies never;
    }
  }

  #familyFor({ counter: name, bound }: Charge): CounterFamily {
    const key = familyKey(name, bound);
    let family = this.#families.get(key);
    if (family === undefined) {
      const free = this.#familyByNumber.indexOf(undefined);
      const number = free === -1 ? this.#familyByNumber.length : free;
      family = new CounterFamily(
        { key, number, bound },
        {
          records: this.#records,
          windows: this.#windows,
          maxCounters: this.#options.maxKeys,
          familyOf: (other) => this.#familyByNumber[other],
          forget: (counter) => this.#forget(counter),
        },
      );
      this.#families.set(key, family);
      this.#familyByNumber[number] = family;
    }
    return family;
  }

  #forget(counter: number): void {
    this.#drops += 1;
    this.#counters.delete(this.#names[counter] ?? '');
    this.#names[counter] = '';
  }

  #sweepNextFamily(): void {
    const family = this.#familyByNumber[this.#swept];
    this.#swept = this.#swept + 1 < this.#familyByNumber.length ? this.#swept + 1 : 0;
    if (family === undefined) return;
    family.sweep(this.#moment);
    // Of a day or month that is over.
    if (family.size > 0 || family.bound.kind !== 'period') return;
    family.close();
    this.#families.delete(family.key);
    this.#familyByNumber[family.number] = undefined;
  }
}

function familyKey(name: string, bound: Bound): string {
  const scope = name.slice(0, name.indexOf(':') + 1);
  switch (bound.kind) {
    case 'window':
      return `${scope}window:${bound.windowMs}:${bound.joinWithinMs ?? 0}`;
    case 'period':
      return `${scope}period:${bound.endsAt}`;
    case 'now':
      return `${scope}now`;
    default:
      throw bound satisfies never;
  }
}
