/**
 * Limits for the workers: all count in one store here. Owns the admissions of each worker until it settles them. Invariant: what a worker
 * that is gone had running at the same time is taken back.
 */
import type {
  Charge,
  CounterState,
  LimitAdmission,
  LimitDecision,
  LimitStore,
} from '../limits/limit-store.ts';
import type { LimitsToControl, LimitsToWorker, SentState } from './limit-messages.ts';

export class LimitHost {
  readonly #store: LimitStore;

  constructor(store: LimitStore) {
    this.#store = store;
  }

  connect(send: (message: LimitsToWorker) => void): WorkerLimits {
    return new WorkerLimits(this.#store, send);
  }
}

/** One worker, as long as its link is open. */
export class WorkerLimits {
  readonly #store: LimitStore;
  readonly #send: (message: LimitsToWorker) => void;
  /** Those that may still be settled; no Map, as in the dispatcher. */
  readonly #admissions: Record<number, LimitAdmission | undefined> = Object.create(null);
  #isOver = false;

  constructor(store: LimitStore, send: (message: LimitsToWorker) => void) {
    this.#store = store;
    this.#send = send;
  }

  /** Admissions that are not settled. */
  get kept(): number {
    return Object.keys(this.#admissions).length;
  }

  receive(message: LimitsToControl): void {
    switch (message.type) {
      case 'decide': {
        const decision = this.#store.decide(message.charges);
        if (decision instanceof Promise) void decision.then((late) => this.#decided(message, late));
        else this.#decided(message, decision);
        break;
      }
      case 'peek': {
        const states = this.#store.peek(message.charges);
        if (states instanceof Promise) void states.then((late) => this.#peeked(message.call, late));
        else this.#peeked(message.call, states);
        break;
      }
      case 'settle': {
        const admission = this.#admissions[message.call];
        delete this.#admissions[message.call];
        if (admission !== undefined) this.#store.settle(admission, message.amounts);
        break;
      }
      case 'unchanged':
        for (const call of message.calls) delete this.#admissions[call];
        break;
      default:
        throw message satisfies never;
    }
  }

  /**
   * The worker is gone, and its requests with it. What was counted of them stays counted: requests came, and the tokens and the money that
   * were reserved are the best estimate of what was used.
   */
  end(): void {
    this.#isOver = true;
    for (const call of Object.keys(this.#admissions)) {
      const admission = this.#admissions[Number(call)];
      delete this.#admissions[Number(call)];
      if (admission !== undefined) this.#abandon(admission);
    }
  }

  #decided(
    { call, isFinal }: Extract<LimitsToControl, { type: 'decide' }>,
    { admission, states }: LimitDecision,
  ): void {
    if (this.#isOver) {
      if (admission !== undefined) this.#abandon(admission);
      return;
    }
    if (admission !== undefined && isFinal === undefined) this.#admissions[call] = admission;
    this.#send({ type: 'decided', call, admitted: admission !== undefined, states: states.map(sentState) });
  }

  #peeked(call: number, states: readonly CounterState[]): void {
    this.#send({ type: 'peeked', call, states: states.map(sentState) });
  }

  #abandon(admission: LimitAdmission): void {
    const { charges } = admission;
    if (!charges.some(isOfNow)) return;
    const amounts = charges.map((charge) => (isOfNow(charge) ? 0 : charge.amount));
    this.#store.settle(admission, amounts);
  }
}

function isOfNow({ bound }: Charge): boolean {
  return bound.kind === 'now';
}

function sentState({ limit, remaining, retryInMs }: CounterState): SentState {
  return { limit, remaining, retryInMs: Number.isFinite(retryInMs) ? retryInMs : null };
}
