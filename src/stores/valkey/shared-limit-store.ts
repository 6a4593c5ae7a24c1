/**
 * Limits that all replicas share: asked of the server while it can be used, with a time-out; else decided as `limits.on_failure` says.
 * Invariant: no request waits for a server that is known to be away; and what was admitted is settled where it was counted.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import {
  type Charge,
  type CounterState,
  type LimitAdmission,
  type LimitDecision,
  type LimitStore,
  UNKNOWN_WAIT_MS,
  type UsedSoFar,
} from '../../limits/limit-store.ts';
import { Circuit } from './circuit.ts';
import type { ScriptRunner } from './connection.ts';
import { type FailureReason, failureOf, ValkeyFailure } from './failure.ts';
import {
  LEASE_MS,
  PEEKED_AT_ONCE,
  SETTLED_KEPT_MS,
  type Settlement,
  ValkeyAdmission,
  type ValkeyLimits,
} from './limit-store.ts';

export type OnFailure = 'local' | 'open' | 'closed';

export interface SharedLimitSettings {
  /** For one answer of the server, from the moment that it is asked for. */
  timeoutMs: Milliseconds;
  onFailure: OnFailure;
}

export interface LimitStoreObserver {
  decided(tookMs: Milliseconds): void;
  failed(reason: FailureReason | 'unsettled'): void;
}

interface SharedLimitStoreOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Of the server, for the log. */
  readonly shownAddress: string;
  readonly shared: ValkeyLimits;
  /** What `shared` runs on, to be closed with it. */
  readonly runner: Pick<ScriptRunner, 'close'>;
  /** What this process counts alone while the server is away. */
  readonly local: LimitStore;
  /** Read for every decision. */
  readonly settings: Readonly<SharedLimitSettings>;
  readonly observer: LimitStoreObserver;
}

/** A replica announces itself that often, and is counted for GONE_AFTER_MS after that. */
const HEARTBEAT_MS: Milliseconds = 2000;
const GONE_AFTER_MS: Milliseconds = 10_000;
const RENEW_EVERY_MS: Milliseconds = LEASE_MS / 3;

/** Settlements kept while the server is away: of requests that were admitted before. */
const MAX_UNSETTLED = 20_000;
const SETTLED_AT_ONCE = 100;
/** A settlement that may have been done is sent again only while the server still has its note of it. */
const SENT_AGAIN_WITHIN_MS: Milliseconds = SETTLED_KEPT_MS - 10_000;

interface Unsettled {
  readonly settlement: Settlement;
  /** When it was first sent; undefined: never, or surely in vain. */
  readonly sentAt: Milliseconds | undefined;
}

/** Admitted without being counted. */
class UncountedAdmission implements LimitAdmission {
  readonly charges: readonly Charge[];

  constructor(charges: readonly Charge[]) {
    this.charges = charges;
  }
}

export class SharedLimitStore implements LimitStore {
  readonly isShared = true;
  readonly #options: SharedLimitStoreOptions;
  readonly #circuit = new Circuit();
  #probe: Timer | undefined;
  #isProbing = false;
  #isClosed = false;
  /** Undefined until the first probe has ended. */
  #wasUp: boolean | undefined;
  #replicas = 1;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #unsettled: Unsettled[] = [];
  #opened: (failure: ValkeyFailure | undefined) => void = () => {};
  /** Resolves after the first try, with its failure. */
  readonly opened: Promise<ValkeyFailure | undefined>;

  constructor(options: SharedLimitStoreOptions) {
    this.#options = options;
    this.opened = new Promise((resolve) => {
      this.#opened = resolve;
    });
  }

  get isUp(): boolean {
    return this.#circuit.isUp;
  }

  /** As last seen, this one included. */
  get replicas(): number {
    return this.#replicas;
  }

  decide(charges: readonly Charge[]): LimitDecision | Promise<LimitDecision> {
    if (!this.#circuit.isUp) return this.#decideAlone(charges);
    return this.#decideShared(charges);
  }

  async #decideShared(charges: readonly Charge[]): Promise<LimitDecision> {
    const { clock, shared, observer } = this.#options;
    const askedAt = clock.now();
    try {
      const decision = await this.#inTime(shared.decide(charges), ({ admission }) => {
        // The request was decided without it meanwhile.
        if (admission !== undefined)
          this.settle(
            admission,
            charges.map(() => 0),
          );
      });
      observer.decided(clock.now() - askedAt);
      return decision;
    } catch (error) {
      this.failed(failureOf(error));
      return this.#decideAlone(charges);
    }
  }

  peek(charges: readonly Charge[]): readonly CounterState[] | Promise<readonly CounterState[]> {
    if (!this.#circuit.isUp) return this.#peekAlone(charges);
    return this.#peekShared(charges);
  }

  /** Some at a time: decisions that are asked for meanwhile are to come in between. */
  async #peekShared(charges: readonly Charge[]): Promise<readonly CounterState[]> {
    const { shared, observer } = this.#options;
    const states: CounterState[] = [];
    try {
      while (states.length < charges.length) {
        const some = charges.slice(states.length, states.length + PEEKED_AT_ONCE);
        states.push(...(await this.#inTime(shared.peek(some), () => {})));
      }
      return states;
    } catch (error) {
      // Nobody waits to be admitted: that is no reason to decide without the server.
      observer.failed(failureOf(error).reason);
      return this.#peekAlone(charges);
    }
  }

  /** What the server counts is told to it as settlements are, once; while it is away it is not noted, so that the next look tells it. */
  countRunning(running: readonly UsedSoFar[]): void {
    const { shared, local } = this.#options;
    const alone: UsedSoFar[] = [];
    const inServer: { readonly admission: ValkeyAdmission; readonly amounts: readonly number[] }[] = [];
    for (const { admission, amounts } of running)
      if (admission instanceof ValkeyAdmission) inServer.push({ admission, amounts });
      else if (!(admission instanceof UncountedAdmission)) alone.push({ admission, amounts });
    if (alone.length > 0) local.countRunning(alone);
    if (!this.#circuit.isUp) return;
    for (const settlement of shared.growthOf(inServer)) this.#settleShared({ settlement, sentAt: undefined });
  }

  settle(admission: LimitAdmission, amounts: readonly (number | null)[]): void {
    const { shared, local } = this.#options;
    if (admission instanceof ValkeyAdmission)
      this.#settleShared({ settlement: shared.settlementOf(admission, amounts), sentAt: undefined });
    else if (!(admission instanceof UncountedAdmission)) local.settle(admission, amounts);
  }

  #settleShared(unsettled: Unsettled): void {
    const { shared, clock } = this.#options;
    if (!this.#circuit.isUp) {
      this.#keepUnsettled(unsettled);
      return;
    }
    const sentAt = unsettled.sentAt ?? clock.now();
    shared.settle(unsettled.settlement).catch((error: unknown) => {
      const failure = failureOf(error);
      this.#keepUnsettled(failure.mayBeDone ? { ...unsettled, sentAt } : unsettled);
      this.failed(failure);
    });
  }

  #keepUnsettled(unsettled: Unsettled): void {
    if (this.#unsettled.length < MAX_UNSETTLED) this.#unsettled.push(unsettled);
    else this.#drop(unsettled);
  }

  #drop({ settlement }: Unsettled): void {
    const { shared, observer } = this.#options;
    shared.dropped(settlement);
    observer.failed('unsettled');
  }

  /** In the order in which the requests ended, some at a time: requests that come now are not to wait for all of them. */
  async #settleRest(): Promise<void> {
    const { clock } = this.#options;
    while (this.#circuit.isUp && this.#unsettled.length > 0) {
      for (const unsettled of this.#unsettled.splice(0, SETTLED_AT_ONCE)) {
        const { sentAt } = unsettled;
        if (sentAt !== undefined && clock.now() - sentAt > SENT_AGAIN_WITHIN_MS) this.#drop(unsettled);
        else this.#settleShared(unsettled);
      }
      await new Promise<void>((resolve) => clock.atEndOfTurn(resolve));
    }
  }

  #decideAlone(charges: readonly Charge[]): LimitDecision | Promise<LimitDecision> {
    const { local, settings } = this.#options;
    switch (settings.onFailure) {
      case 'local': {
        const decision = local.decide(this.#sharesOf(charges));
        return decision instanceof Promise ? decision : this.#withWaits(charges, decision);
      }
      case 'open':
        return { admission: new UncountedAdmission(charges), states: charges.map(unusedState) };
      case 'closed':
        return { admission: undefined, states: charges.map(closedState) };
    }
  }

  #peekAlone(charges: readonly Charge[]): readonly CounterState[] | Promise<readonly CounterState[]> {
    const { local, settings } = this.#options;
    switch (settings.onFailure) {
      case 'local':
        return local.peek(this.#sharesOf(charges));
      case 'open':
        return charges.map(unusedState);
      case 'closed':
        return charges.map(closedState);
    }
  }

  #sharesOf(charges: readonly Charge[]): readonly Charge[] {
    return charges.map(({ counter, amount, bound }) => ({
      counter,
      amount,
      bound: { ...bound, limit: shareOf(bound.limit, this.#replicas) },
    }));
  }

  /** What is more than this replica's share, but not more than the limit, fits when the server is back. */
  #withWaits(charges: readonly Charge[], decision: LimitDecision): LimitDecision {
    if (decision.states.every(({ retryInMs }) => retryInMs < Number.POSITIVE_INFINITY)) return decision;
    const states = decision.states.map((state, index) => {
      const charge = charges[index];
      const fitsTheLimit = charge !== undefined && charge.amount <= charge.bound.limit;
      return fitsTheLimit && state.retryInMs === Number.POSITIVE_INFINITY
        ? { ...state, retryInMs: UNKNOWN_WAIT_MS }
        : state;
    });
    return { ...decision, states };
  }

  /** `answer`, or a failure after the time-out; what comes later goes to `onLate`. */
  #inTime<Answer>(answer: Promise<Answer>, onLate: (answer: Answer) => void): Promise<Answer> {
    const { clock, settings } = this.#options;
    const { timeoutMs } = settings;
    return new Promise((resolve, reject) => {
      let isOver = false;
      // Where this process was busy, the answer may be there and not yet be read: the end of the turn comes after that.
      const timer = clock.schedule(timeoutMs, () => clock.atEndOfTurn(expire));
      const expire = () => {
        if (isOver) return;
        isOver = true;
        const message = `No answer within ${timeoutMs} ms (limits.timeout_ms).`;
        reject(new ValkeyFailure('slow', message, { mayBeDone: true }));
      };
      answer.then(
        (value) => {
          if (isOver) return onLate(value);
          isOver = true;
          timer.cancel();
          resolve(value);
        },
        (error: unknown) => {
          if (isOver) return;
          isOver = true;
          timer.cancel();
          reject(error);
        },
      );
    });
  }

  /** The connection is there: no need to wait for the next probe. */
  connected(): void {
    if (!this.#circuit.isUp) this.#schedule(0);
  }

  failed(failure: ValkeyFailure): void {
    const { log, observer, random, settings, shownAddress } = this.#options;
    if (this.#isClosed) return;
    observer.failed(failure.reason);
    if (this.#circuit.isUp || this.#wasUp === undefined) {
      log.warn(
        `The limit store at ${shownAddress} can't be used: ${failure.message} ${MEANWHILE[settings.onFailure]}`,
        { reason: failure.reason },
      );
      this.#schedule(this.#circuit.failed(random()));
    }
    this.#wasUp = false;
    this.#opened(failure);
  }

  #schedule(delayMs: Milliseconds): void {
    this.#probe?.cancel();
    if (!this.#isClosed) this.#probe = this.#options.clock.schedule(delayMs, () => void this.#runProbe());
  }

  /** Announces this replica; what a decision would fail with, this fails with too. */
  async #runProbe(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    const { shared, clock, random } = this.#options;
    try {
      this.#replicas = Math.max(1, await this.#inTime(shared.announce(GONE_AFTER_MS), () => {}));
      this.#succeeded();
      if (clock.now() - this.#renewedAt >= RENEW_EVERY_MS) {
        this.#renewedAt = clock.now();
        await shared.renew();
      }
      if (this.#unsettled.length === 0) await shared.correctHeld();
      this.#schedule(HEARTBEAT_MS);
    } catch (error) {
      const wasUp = this.#circuit.isUp || this.#wasUp === undefined;
      this.failed(failureOf(error));
      if (!wasUp) this.#schedule(this.#circuit.failed(random()));
    } finally {
      this.#isProbing = false;
    }
  }

  #succeeded(): void {
    const { log, shownAddress } = this.#options;
    if (this.#isClosed || this.#circuit.isUp) return;
    this.#circuit.succeeded();
    // What was counted before may be lost, and leases may be over.
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    log.info(`The limit store at ${shownAddress} is ${this.#wasUp === false ? 'used again' : 'used'}.`, {
      replicas: this.#replicas,
    });
    this.#wasUp = true;
    this.#opened(undefined);
    void this.#settleRest();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#probe?.cancel();
    const { shared, local, runner } = this.#options;
    // Settlements that were just sent are answered before it.
    if (this.#circuit.isUp) await this.#inTime(shared.leave(), () => {}).catch(() => {});
    await runner.close();
    await local.close();
  }
}

const MEANWHILE: Readonly<Record<OnFailure, string>> = {
  local: 'Until it can, this replica admits its share of each limit (limits.on_failure).',
  open: 'Until it can, everything is admitted (limits.on_failure).',
  closed: 'Until it can, nothing that is limited is admitted (limits.on_failure).',
};

/** At least 1, where the limit allows any: a limit below the number of replicas is not to refuse everything. */
export function shareOf(limit: number, replicas: number): number {
  return Math.max(Math.min(1, limit), Math.floor(limit / replicas));
}

function unusedState({ bound: { limit } }: Charge): CounterState {
  return { limit, remaining: limit, retryInMs: 0 };
}

/** No wait: it is not this limit that refuses. */
function closedState({ bound: { limit } }: Charge): CounterState {
  return { limit, remaining: 0, retryInMs: 0 };
}
