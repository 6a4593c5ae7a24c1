/**
 * A charge that is kept for the requests of a day, or one made of it with another amount. What a store has found for it lies beside it: with
 * many keys a decision waits for memory, and so it waits once.
 */
import type { Bound, Charge, CounterPlace } from './limit-store.ts';

export class PlacedCharge implements Charge, CounterPlace {
  // What each decision reads comes first: with the object's own three words it is one cache line.
  store: object | undefined;
  number: number;
  generation: number;
  readonly bound: Bound;
  readonly amount: number;
  readonly origin: CounterPlace | undefined;
  readonly counter: string;

  constructor(counter: string, bound: Bound, amount: number, origin?: CounterPlace) {
    this.store = origin?.store;
    this.number = origin?.number ?? 0;
    this.generation = origin?.generation ?? 0;
    this.bound = bound;
    this.amount = amount;
    this.origin = origin;
    this.counter = counter;
  }

  get place(): CounterPlace {
    return this;
  }

  withAmount(amount: number): PlacedCharge {
    return new PlacedCharge(this.counter, this.bound, amount, this);
  }
}
