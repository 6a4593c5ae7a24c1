/**
 * Limits as a worker has them: counted by the control process, for all workers. Owns the questions that are under way. Invariant: each is
 * answered once: by the control process, or when that is gone or silent, by nobody, as where a shared store can't be asked.
 */
import { ServingError } from '../core/errors.ts';
import {
  type Charge,
  type CounterState,
  type DecisionAhead,
  isHeld,
  type LimitAdmission,
  type LimitDecision,
  type LimitStore,
  type UsedSoFar,
} from '../limits/limit-store.ts';
import type { LimitsToControl, LimitsToWorker, SentCharge, SentState } from './limit-messages.ts';

interface RemoteLimitStoreOptions {
  readonly send: (message: LimitsToControl) => void;
  /** Writes what was sent in this turn. */
  readonly flush: () => void;
  /** False: no answer would come. */
  readonly mayAsk: () => boolean;
  /** What the control process counts in is shared with other servers. */
  readonly isShared: boolean;
}

/** So many settlements wait at most for something that they can go with. */
const MAX_UNCHANGED = 100;

type Answer = LimitsToWorker | undefined;

class RemoteAdmission implements LimitAdmission {
  readonly charges: readonly Charge[];
  readonly call: number;
  /** More may be counted of it than was admitted. */
  hasGrown = false;

  constructor(charges: readonly Charge[], call: number) {
    this.charges = charges;
    this.call = call;
  }
}

export class RemoteLimitStore implements LimitStore {
  readonly isShared: boolean;
  readonly keepsAdmissions = true;
  readonly #send: RemoteLimitStoreOptions['send'];
  readonly #flush: RemoteLimitStoreOptions['flush'];
  readonly #mayAsk: RemoteLimitStoreOptions['mayAsk'];
  /** By the number of the call; no Map, as in the dispatcher. */
  readonly #asked: Record<number, ((answer: Answer) => void) | undefined> = Object.create(null);
  /** Settled, which the control process does not know yet. */
  #unchanged: number[] = [];
  /** Something was given back that is not written yet. */
  #isFlushDue = false;
  #calls = 0;
  #isOver = false;

  constructor({ send, flush, mayAsk, isShared }: RemoteLimitStoreOptions) {
    this.#send = send;
    this.#flush = flush;
    this.#mayAsk = mayAsk;
    this.isShared = isShared;
  }

  decide(
    charges: readonly Charge[],
    { isFinal = false }: { readonly isFinal?: boolean } = {},
  ): Promise<LimitDecision> {
    return this.#decide(charges, { isFinal: isFinal || undefined }).decision;
  }

  decideAhead(charges: readonly Charge[], after: number | undefined): DecisionAhead {
    return this.#decide(charges, { after });
  }

  countRunning(running: readonly UsedSoFar[]): void {
    // Asked again in a second.
    if (this.#isOver || !this.#mayAsk()) return;
    const calls: number[] = [];
    const all: (readonly number[])[] = [];
    for (const { admission, amounts } of running) {
      if (!(admission instanceof RemoteAdmission)) continue;
      admission.hasGrown = true;
      calls.push(admission.call);
      all.push(amounts);
    }
    if (calls.length > 0) this.#send({ type: 'running', calls, amounts: all });
  }

  settle(admission: LimitAdmission, amounts: readonly (number | null)[]): void {
    if (this.#isOver || !(admission instanceof RemoteAdmission)) return;
    const { charges, call, hasGrown } = admission;
    const isSame = charges.every((charge, index) => {
      const { bound, amount } = charge;
      return bound.kind !== 'now' && !isHeld(charge) && (amounts[index] ?? amount) === amount;
    });
    if (!isSame || hasGrown) {
      this.#send({ type: 'settle', call, amounts });
      this.#isFlushDue = true;
    } else if (this.#unchanged.push(call) >= MAX_UNCHANGED) this.#sendUnchanged();
  }

  flush(): void {
    if (this.#isFlushDue) this.#flush();
    this.#isFlushDue = false;
  }

  async peek(charges: readonly Charge[]): Promise<readonly CounterState[]> {
    this.#calls += 1;
    const answer = await this.#ask({ type: 'peek', call: this.#calls, charges: charges.map(sentCharge) });
    if (answer === undefined) throw new ServingError('server_busy', { retryAfterSeconds: 5 });
    return answer.states.map(receivedState);
  }

  receive(message: LimitsToWorker): void {
    const asked = this.#asked[message.call];
    delete this.#asked[message.call];
    if (asked !== undefined) asked(message);
    // Nobody waits for it any more: what it counts is taken back.
    else if (message.type === 'decided' && message.admitted)
      this.#send({ type: 'settle', call: message.call, amounts: message.states.map(() => 0) });
  }

  /** The control process is gone: nothing is admitted any more. */
  end(): void {
    this.#isOver = true;
    this.interrupt();
  }

  /** The control process is silent: what it was asked is answered as where it is gone. What is asked from now on may be answered. */
  interrupt(): void {
    for (const call of Object.keys(this.#asked)) {
      const asked = this.#asked[Number(call)];
      delete this.#asked[Number(call)];
      asked?.(undefined);
    }
  }

  async close(): Promise<void> {
    this.end();
  }

  #decide(
    charges: readonly Charge[],
    condition: { readonly isFinal?: true | undefined; readonly after?: number | undefined },
  ): DecisionAhead {
    this.#calls += 1;
    const call = this.#calls;
    const answer = this.#ask({ type: 'decide', call, charges: charges.map(sentCharge), ...condition });
    return { call, decision: answer.then((known) => decisionOf(known, charges, call)) };
  }

  /** Nobody waits for it: it goes with something else, so that it costs no write of its own. */
  #sendUnchanged(): void {
    if (this.#unchanged.length === 0) return;
    this.#send({ type: 'unchanged', calls: this.#unchanged });
    this.#unchanged = [];
  }

  #ask(
    question: Extract<LimitsToControl, { call: number; charges: readonly SentCharge[] }>,
  ): Promise<Answer> {
    return new Promise((resolve) => {
      if (this.#isOver || !this.#mayAsk()) return resolve(undefined);
      this.#asked[question.call] = resolve;
      this.#sendUnchanged();
      this.#send(question);
    });
  }
}

function decisionOf(answer: Answer, charges: readonly Charge[], call: number): LimitDecision {
  if (answer?.type !== 'decided') return { admission: undefined, states: charges.map(unknownState) };
  const states = answer.states.map(receivedState);
  return { admission: answer.admitted ? new RemoteAdmission(charges, call) : undefined, states };
}

function sentCharge({ counter, bound, amount }: Charge): SentCharge {
  return { counter, bound, amount };
}

function receivedState({ limit, remaining, retryInMs }: SentState): CounterState {
  return { limit, remaining, retryInMs: retryInMs ?? Number.POSITIVE_INFINITY };
}

/** No wait: it is not this limit that refuses. */
function unknownState({ bound: { limit } }: Charge): CounterState {
  return { limit, remaining: 0, retryInMs: 0 };
}
