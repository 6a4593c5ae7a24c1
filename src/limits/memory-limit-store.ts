/**
 * Limits counted in this process, exactly: a decision and what it counts happen in one turn. Pure: the clock is an argument. Owns all
 * counters, at most `maxKeys` for each kind of bound and each scope (the first part of a counter's name).
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { Counter, CounterFamily } from './counter-family.ts';
import type {
  Bound,
  Charge,
  CounterPlace,
  CounterState,
  LimitAdmission,
  LimitDecision,
  LimitStore,
} from './limit-store.ts';

interface MemoryLimitStoreOptions {
  /** Windows go by the monotonic clock, periods by the wall clock. */
  readonly clock: Pick<Clock, 'now' | 'wallNow'>;
  /** Counters of a kind that are kept; more share one. */
  readonly maxKeys: () => number;
}

interface MemoryAdmission extends LimitAdmission {
  readonly at: Milliseconds;
  /** In the order of the charges. */
  readonly counters: readonly Counter[];
}

/** When a counter of requests at the same time has room is not known. */
const UNKNOWN_WAIT_MS = 1000;

export class MemoryLimitStore implements LimitStore {
  readonly isShared = false;
  readonly #options: MemoryLimitStoreOptions;
  readonly #counters = new Map<string, Counter>();
  readonly #families = new Map<string, CounterFamily>();
  /** The kinds in turn: one is swept with each decision, whatever it is about. */
  #swept: Iterator<[string, CounterFamily]> | undefined;
  /** What budgets begin with, by their counters, until those are opened: most may never be. */
  readonly #begun = new Map<string, number>();
  /** The monotonic clock never goes back here; the wall clock is followed wherever it is set. */
  readonly #moment = { now: 0, wallNow: 0 };

  constructor(options: MemoryLimitStoreOptions) {
    this.#options = options;
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
    this.#advance();
    // 1. All charges must fit.
    const found: (Counter | undefined)[] = [];
    let fits = true;
    for (const charge of charges) {
      const counter = this.#find(charge);
      found.push(counter);
      if (this.#used(counter, charge.bound) + Math.max(1, charge.amount) > charge.bound.limit) fits = false;
    }
    // 2. Then all are counted, or none.
    const admission = fits ? this.#count(charges, found) : undefined;
    const states: CounterState[] = [];
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index];
      if (charge !== undefined)
        states.push(this.#stateOf(admission?.counters[index] ?? found[index], charge));
    }
    this.#sweepNextFamily();
    return { admission, states };
  }

  settle(admission: LimitAdmission, amounts: readonly number[]): void {
    const { charges, counters, at } = admission as MemoryAdmission;
    this.#advance();
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index];
      if (charge === undefined) continue;
      const noted = counters[index];
      // Nothing was counted by it at first, so it looked idle.
      const counter = noted?.isDropped === true ? (this.#find(charge) ?? this.#open(charge)) : noted;
      if (counter === undefined) continue;
      const more = (amounts[index] ?? charge.amount) - charge.amount;
      if (charge.bound.kind === 'now') counter.sum -= charge.amount;
      else if (counter.window === undefined) counter.sum += more;
      else if (charge.bound.kind === 'window') {
        const { windowMs, joinWithinMs = 0 } = charge.bound;
        counter.window.expire(this.#moment.now, windowMs);
        if (more > 0) counter.window.add(this.#moment.now, more, joinWithinMs);
        else counter.window.reduce(at, -more);
      }
    }
  }

  peek(charges: readonly Charge[]): readonly CounterState[] {
    this.#advance();
    return charges.map((charge) => this.#stateOf(this.#find(charge), charge));
  }

  async close(): Promise<void> {}

  #advance(): void {
    const { clock } = this.#options;
    this.#moment.now = Math.max(this.#moment.now, clock.now());
    this.#moment.wallNow = clock.wallNow();
  }

  /** Its own counter, or the one that it shares. Undefined: nothing is counted yet. */
  #find(charge: Charge): Counter | undefined {
    const { counter: name, bound, place } = charge;
    const counter =
      this.#atPlace(name, place) ??
      this.#counters.get(name) ??
      this.#family(name, bound).shared(this.#moment) ??
      this.#openBegun(charge);
    if (counter?.window === undefined || bound.kind !== 'window') return counter;
    const { bound: former } = counter.family;
    if (former.kind === 'window' && former.windowMs !== bound.windowMs)
      this.#family(name, bound).adopt(counter);
    counter.window.expire(this.#moment.now, bound.windowMs);
    return counter;
  }

  #openBegun(charge: Charge): Counter | undefined {
    if (charge.bound.kind !== 'period') return undefined;
    const sum = this.#begun.get(charge.counter);
    if (sum === undefined) return undefined;
    this.#begun.delete(charge.counter);
    const counter = this.#open(charge);
    counter.sum = sum;
    return counter;
  }

  /** Looking it up by name costs more than all the rest: with many keys, memory is what a decision waits for. */
  #atPlace(name: string, place: CounterPlace | undefined): Counter | undefined {
    const found = place?.found;
    return found instanceof Counter && found.family.owner === this && !found.isDropped && found.name === name
      ? found
      : undefined;
  }

  #used(counter: Counter | undefined, bound: Bound): number {
    if (counter === undefined) return 0;
    if (bound.kind === 'period' && this.#moment.wallNow >= bound.endsAt) return 0;
    return counter.window?.sum ?? counter.sum;
  }

  #count(charges: readonly Charge[], found: readonly (Counter | undefined)[]): MemoryAdmission {
    const counters: Counter[] = [];
    for (let index = 0; index < charges.length; index += 1) {
      const charge = charges[index];
      if (charge === undefined) continue;
      const counter = found[index] ?? this.#open(charge);
      counters.push(counter);
      if (charge.amount === 0) continue;
      const { bound } = charge;
      if (counter.window !== undefined && bound.kind === 'window')
        counter.window.add(this.#moment.now, charge.amount, bound.joinWithinMs ?? 0);
      else counter.sum += charge.amount;
      counter.family.sweep(this.#moment);
    }
    return { charges, at: this.#moment.now, counters };
  }

  #open({ counter: name, bound, place }: Charge): Counter {
    const counter = this.#family(name, bound).open(name, this.#moment);
    this.#counters.set(name, counter);
    if (place !== undefined) place.found = counter;
    return counter;
  }

  #stateOf(counter: Counter | undefined, { bound, amount }: Charge): CounterState {
    const { limit } = bound;
    const used = this.#used(counter, bound);
    const remaining = Math.max(0, limit - used);
    const wanted = Math.max(1, amount);
    if (wanted <= remaining) return { limit, remaining, retryInMs: 0 };
    if (wanted > limit) return { limit, remaining, retryInMs: Number.POSITIVE_INFINITY };
    return { limit, remaining, retryInMs: this.#waitMs(counter, bound, used + wanted - limit) };
  }

  #waitMs(counter: Counter | undefined, bound: Bound, excess: number): Milliseconds {
    switch (bound.kind) {
      case 'window':
        return counter?.window?.waitMs(excess, this.#moment.now, bound.windowMs) ?? 0;
      case 'period':
        return Math.max(0, bound.endsAt - this.#moment.wallNow);
      case 'now':
        return UNKNOWN_WAIT_MS;
      default:
        throw bound satisfies never;
    }
  }

  #family(name: string, bound: Bound): CounterFamily {
    const key = familyKey(name, bound);
    let family = this.#families.get(key);
    if (family === undefined) {
      family = new CounterFamily(bound, {
        owner: this,
        maxCounters: this.#options.maxKeys,
        forget: (counter) => this.#counters.delete(counter.name),
      });
      this.#families.set(key, family);
    }
    return family;
  }

  #sweepNextFamily(): void {
    const next = this.#swept?.next();
    if (next === undefined || next.done === true) {
      this.#swept = this.#families.entries();
      return;
    }
    const [key, family] = next.value;
    family.sweep(this.#moment);
    // Of a day or month that is over.
    if (family.size === 0 && family.bound.kind === 'period') this.#families.delete(key);
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
