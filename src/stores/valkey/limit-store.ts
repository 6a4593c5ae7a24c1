/**
 * The limits in Valkey or Redis, as the scripts keep them. This class puts charges into arguments and answers into decisions, and
 * holds the leases of what runs. It knows no time-outs and no fallback (shared-limit-store.ts has them).
 */
import type { Milliseconds } from '../../core/clock.ts';
import {
  type Charge,
  type CounterState,
  isHeld,
  type LimitAdmission,
  type UsedSoFar,
} from '../../limits/limit-store.ts';
import type { ScriptRunner } from './connection.ts';
import { HeldBudgets } from './held-budgets.ts';
import { SCRIPTS, type Script } from './scripts.ts';

/** Places of a process that was killed are free again after that; those in use are renewed in time. */
export const LEASE_MS: Milliseconds = 30_000;

/** What was settled is not settled twice within that time, for a settlement whose answer was lost may be sent again. */
export const SETTLED_KEPT_MS: Milliseconds = 60_000;

/** Members of one script: the server does nothing else meanwhile. */
const RENEWED_AT_ONCE = 200;

/** Counters that one script changes, for the same reason. */
const CHANGED_AT_ONCE = 100;

/** Counters that one script looks at, for the same reason: about 1 ms. An operator's view may be of thousands. */
export const PEEKED_AT_ONCE = 100;

/** What was counted in the server, where, and when by its clock. */
export class ValkeyAdmission implements LimitAdmission {
  readonly charges: readonly Charge[];
  /** Of this request alone. */
  readonly id: string;
  /** Where each charge is found again. */
  readonly marks: readonly number[];
  /** µs since the Unix epoch. */
  readonly admittedAt: number;
  /** Of each charge, what was counted of it while it ran. */
  readonly #grown: number[];

  constructor(charges: readonly Charge[], id: string, marks: readonly number[], admittedAt: number) {
    this.charges = charges;
    this.id = id;
    this.marks = marks;
    this.admittedAt = admittedAt;
    this.#grown = charges.map(() => 0);
  }

  /** How much more of the charge is used than is counted; from now on it is counted. */
  grow(index: number, used: number): number {
    const more = Math.max(0, used - (this.charges[index]?.amount ?? 0) - this.#grownOf(index));
    this.#grown[index] = this.#grownOf(index) + more;
    return more;
  }

  /** What takes the place of the charge's amount, where that much was used in all. */
  settled(index: number, used: number): number {
    return Math.max(0, used - this.#grownOf(index));
  }

  #grownOf(index: number): number {
    return this.#grown[index] ?? 0;
  }
}

export interface ValkeyDecision {
  readonly admission: ValkeyAdmission | undefined;
  readonly states: readonly CounterState[];
}

/** In a counter, `amount` takes the place of what was `counted`. */
interface Change {
  readonly charge: Pick<Charge, 'counter' | 'bound'>;
  readonly mark: number;
  readonly counted: number;
  readonly amount: number;
}

/** Done all at once, and once. */
export interface Settlement {
  readonly id: string;
  readonly changes: readonly Change[];
}

interface RunningUse extends UsedSoFar {
  readonly admission: ValkeyAdmission;
}

interface ValkeyLimitsOptions {
  readonly runner: ScriptRunner;
  readonly prefix: string;
  /** Of this process alone; ids of requests begin with it. */
  readonly replica: string;
}

const LEASE_US = String(LEASE_MS * 1000);

export class ValkeyLimits {
  readonly #runner: ScriptRunner;
  readonly #prefix: string;
  readonly #replica: string;
  readonly #held = new Set<ValkeyAdmission>();
  readonly #budgets = new HeldBudgets();
  #requests = 0;

  constructor({ runner, prefix, replica }: ValkeyLimitsOptions) {
    this.#runner = runner;
    this.#prefix = `{${prefix}}:`;
    this.#replica = replica;
  }

  /** How many requests hold places. */
  get held(): number {
    return this.#held.size;
  }

  async decide(charges: readonly Charge[]): Promise<ValkeyDecision> {
    const id = this.#nextId();
    const answer = await this.#askOrDoubt(id, charges);
    if (answer[0] !== 1) return { admission: undefined, states: statesOf(charges, answer) };
    const marks = charges.map((_, index) => answer[index * 3 + 4] ?? 0);
    const admission = new ValkeyAdmission(charges, id, marks, answer[1] ?? 0);
    if (charges.some(({ bound }) => bound.kind === 'now')) this.#held.add(admission);
    this.#budgets.add(charges, 1);
    return { admission, states: statesOf(charges, answer) };
  }

  /** At most PEEKED_AT_ONCE charges: see there. */
  async peek(charges: readonly Charge[]): Promise<readonly CounterState[]> {
    return statesOf(charges, await this.#ask('peek', `${this.#replica}:`, charges));
  }

  /** The request has ended; its places are not renewed any more. `amounts`: null stays as it is. */
  settlementOf(admission: ValkeyAdmission, amounts: readonly (number | null)[]): Settlement {
    this.#held.delete(admission);
    this.#budgets.add(admission.charges, -1);
    const changes: Change[] = [];
    for (const [index, charge] of admission.charges.entries()) {
      const used = amounts[index];
      const amount = typeof used === 'number' ? admission.settled(index, used) : charge.amount;
      if (amount === charge.amount && !isHeld(charge)) continue;
      changes.push({ charge, mark: admission.marks[index] ?? 0, counted: charge.amount, amount });
    }
    return { id: admission.id, changes };
  }

  /** What they have used beyond what is counted of them, each counter once. */
  growthOf(running: readonly RunningUse[]): Settlement[] {
    const byCounter = new Map<string, Change>();
    for (const { admission, amounts } of running)
      for (const [index, charge] of admission.charges.entries()) {
        if (charge.bound.kind === 'now') continue;
        const more = admission.grow(index, amounts[index] ?? 0);
        if (more === 0) continue;
        const before = byCounter.get(charge.counter)?.amount ?? 0;
        const mark = admission.marks[index] ?? 0;
        byCounter.set(charge.counter, { charge, mark, counted: 0, amount: before + more });
      }
    const changes = [...byCounter.values()];
    const settlements: Settlement[] = [];
    for (let at = 0; at < changes.length; at += CHANGED_AT_ONCE)
      settlements.push({ id: this.#nextId(), changes: changes.slice(at, at + CHANGED_AT_ONCE) });
    return settlements;
  }

  /** Does nothing if it was done within SETTLED_KEPT_MS already. */
  async settle({ id, changes }: Settlement): Promise<void> {
    if (changes.length === 0) return;
    const keys = [`${this.#prefix}settled:${id}`];
    const args = ['0', id];
    for (const { charge, mark, counted, amount } of changes) {
      const { bound, counter } = charge;
      if (bound.kind !== 'now') args[0] = String(SETTLED_KEPT_MS);
      keys.push(this.#prefix + counter);
      args.push(bound.kind, String(mark), String(counted), String(amount), spanOf(charge), joinOf(charge));
    }
    await this.#runner.run(SCRIPTS.settle, keys, args);
  }

  /** It will not be done, or was done already: nobody knows. */
  dropped({ changes }: Settlement): void {
    this.#budgets.doubt(changes.map(({ charge }) => charge));
  }

  /** Where an answer was lost, the server may take for held what nobody holds any more. To be called when all is sent that was settled. */
  async correctHeld(): Promise<void> {
    for (;;) {
      const doubtful = this.#budgets.takeDoubtful(CHANGED_AT_ONCE);
      if (doubtful.length === 0) return;
      const keys = doubtful.map(({ counter }) => this.#prefix + counter);
      const args = [`${this.#replica}:`, ...doubtful.map(({ amount }) => String(amount))];
      try {
        await this.#runner.run(SCRIPTS.hold, keys, args);
      } catch (error) {
        for (const { counter } of doubtful) this.#budgets.doubtCounter(counter);
        throw error;
      }
    }
  }

  /** Holds the places of all that runs for LEASE_MS from now; a server that has lost them gets them back. */
  async renew(): Promise<void> {
    let keys: string[] = [];
    let members: string[] = [];
    const send = async () => {
      if (keys.length > 0) await this.#runner.run(SCRIPTS.renew, keys, [LEASE_US, ...members]);
      keys = [];
      members = [];
    };
    // A copy: while it waits, requests begin and end.
    for (const admission of [...this.#held]) {
      if (!this.#held.has(admission)) continue;
      for (const { counter, bound, amount } of admission.charges) {
        if (bound.kind !== 'now') continue;
        for (let number = 1; number <= amount; number += 1) {
          keys.push(this.#prefix + counter);
          members.push(`${admission.id}:${number}`);
        }
      }
      if (keys.length >= RENEWED_AT_ONCE) await send();
    }
    await send();
  }

  /** Says that this replica is there, and resolves with how many are. */
  async announce(goneAfterMs: Milliseconds): Promise<number> {
    const args = [this.#replica, String(goneAfterMs * 1000)];
    return Number(await this.#runner.run(SCRIPTS.announce, [this.#replicas], args));
  }

  async leave(): Promise<void> {
    await this.#runner.run(SCRIPTS.leave, [this.#replicas], [this.#replica]);
  }

  get #replicas(): string {
    return `${this.#prefix}replicas`;
  }

  async #askOrDoubt(id: string, charges: readonly Charge[]): Promise<readonly number[]> {
    try {
      return await this.#ask('decide', id, charges);
    } catch (error) {
      this.#budgets.doubt(charges);
      throw error;
    }
  }

  #nextId(): string {
    this.#requests += 1;
    return `${this.#replica}:${this.#requests}`;
  }

  async #ask(mode: 'decide' | 'peek', id: string, charges: readonly Charge[]): Promise<readonly number[]> {
    const keys: string[] = [];
    const args = [mode, id, LEASE_US];
    for (const charge of charges) {
      keys.push(this.#prefix + charge.counter);
      args.push(
        charge.bound.kind,
        String(charge.amount),
        String(Math.min(charge.bound.limit, Number.MAX_VALUE)),
        spanOf(charge),
        joinOf(charge),
      );
    }
    keys.push(this.#replicas);
    // Numbers beyond 2^53 come as text.
    return ((await this.#runner.run(DECIDE, keys, args)) as readonly (number | string)[]).map(Number);
  }
}

const DECIDE: Script = SCRIPTS.decide;

function spanOf({ bound }: Pick<Charge, 'bound'>): string {
  switch (bound.kind) {
    case 'window':
      return String(Math.round(bound.windowMs * 1000));
    case 'period':
      return String(Math.round(bound.endsAt * 1000));
    case 'now':
      return '0';
  }
}

function joinOf({ bound }: Pick<Charge, 'bound'>): string {
  if (bound.kind !== 'window' || bound.joinWithinMs === undefined) return '0';
  return String(Math.round(bound.joinWithinMs * 1000));
}

function statesOf(charges: readonly Charge[], answer: readonly number[]): readonly CounterState[] {
  return charges.map(({ bound }, index) => {
    const waitUs = answer[index * 3 + 3] ?? 0;
    return {
      limit: bound.limit,
      remaining: answer[index * 3 + 2] ?? 0,
      retryInMs: waitUs < 0 ? Number.POSITIVE_INFINITY : waitUs / 1000,
    };
  });
}
