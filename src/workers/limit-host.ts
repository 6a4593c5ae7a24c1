/**
 * Limits for the workers: all count in one store here. Tells the scheduler's host which calls it has admitted. Owns the admissions of each
 * worker until it settles them. Invariant: what a worker that is gone had running at the same time is taken back.
 */
import {
  type Charge,
  type CounterState,
  isHeld,
  type LimitAdmission,
  type LimitDecision,
  type LimitStore,
  type UsedSoFar,
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

type Decide = Extract<LimitsToControl, { type: 'decide' }>;

/** What it depended on was refused. */
const NOT_ASKED: LimitDecision = { admission: undefined, states: [] };

/** One worker, as long as its link is open. */
export class WorkerLimits {
  readonly #store: LimitStore;
  readonly #send: (message: LimitsToWorker) => void;
  /** Those that may still be settled; no Map, as in the dispatcher. */
  readonly #admissions: Record<number, LimitAdmission | undefined> = Object.create(null);
  /** What a shared store is being asked; resolves with whether it has admitted it. */
  readonly #undecided = new Map<number, Promise<boolean>>();
  #isOver = false;

  constructor(store: LimitStore, send: (message: LimitsToWorker) => void) {
    this.#store = store;
    this.#send = send;
  }

  /** Admissions that are not settled. */
  get kept(): number {
    return Object.keys(this.#admissions).length;
  }

  /** Whether that call, which is not settled yet, was admitted. */
  admitted(call: number): boolean | Promise<boolean> {
    return this.#undecided.get(call) ?? this.#admissions[call] !== undefined;
  }

  receive(message: LimitsToControl): void {
    switch (message.type) {
      case 'decide': {
        const admitted = this.#decide(message);
        if (typeof admitted !== 'boolean') this.#keepUndecided(message.call, admitted);
        break;
      }
      case 'peek': {
        const states = this.#store.peek(message.charges);
        if (states instanceof Promise) void states.then((late) => this.#peeked(message.call, late));
        else this.#peeked(message.call, states);
        break;
      }
      case 'running': {
        const running: UsedSoFar[] = [];
        for (const [index, call] of message.calls.entries()) {
          const admission = this.#admissions[call];
          if (admission !== undefined) running.push({ admission, amounts: message.amounts[index] ?? [] });
        }
        this.#store.countRunning(running);
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
   * were reserved, or known to be used, are the best estimate of what was used.
   */
  end(): void {
    this.#isOver = true;
    for (const call of Object.keys(this.#admissions)) {
      const admission = this.#admissions[Number(call)];
      delete this.#admissions[Number(call)];
      if (admission !== undefined) this.#abandon(admission);
    }
  }

  #decide(message: Decide): boolean | Promise<boolean> {
    const { after } = message;
    const mayBegin = after === undefined || this.admitted(after);
    if (typeof mayBegin !== 'boolean') return mayBegin.then((may) => this.#decideIf(may, message));
    return this.#decideIf(mayBegin, message);
  }

  #decideIf(mayBegin: boolean, message: Decide): boolean | Promise<boolean> {
    if (!mayBegin || this.#isOver) return this.#decided(message, NOT_ASKED);
    const decision = this.#store.decide(message.charges);
    if (decision instanceof Promise) return decision.then((late) => this.#decided(message, late));
    return this.#decided(message, decision);
  }

  /** Returns whether it was admitted. */
  #decided({ call, isFinal }: Decide, { admission, states }: LimitDecision): boolean {
    if (this.#isOver) {
      if (admission !== undefined) this.#abandon(admission);
      return false;
    }
    const admitted = admission !== undefined;
    if (admitted && isFinal === undefined) this.#admissions[call] = admission;
    this.#send({ type: 'decided', call, admitted, states: states.map(sentState) });
    return admitted;
  }

  #keepUndecided(call: number, admitted: Promise<boolean>): void {
    this.#undecided.set(call, admitted);
    void admitted.then(() => this.#undecided.delete(call));
  }

  #peeked(call: number, states: readonly CounterState[]): void {
    this.#send({ type: 'peeked', call, states: states.map(sentState) });
  }

  #abandon(admission: LimitAdmission): void {
    const { charges } = admission;
    if (!charges.some((charge) => isOfNow(charge) || isHeld(charge))) return;
    this.#store.settle(
      admission,
      charges.map((charge) => (isOfNow(charge) ? 0 : null)),
    );
  }
}

function isOfNow({ bound }: Charge): boolean {
  return bound.kind === 'now';
}

function sentState({ limit, remaining, retryInMs }: CounterState): SentState {
  return { limit, remaining, retryInMs: Number.isFinite(retryInMs) ? retryInMs : null };
}
