/**
 * Keeps the leases of this process: asks the store when it is time, and has the scheduler give what is allowed. It owns the timer of the
 * next renewal; at most one is under way. What is asked and what is allowed, SlotLeases decides.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { LeaseStore, Renewal, SlotGrant } from './lease-store.ts';
import {
  type Allowance,
  type AllowanceBasis,
  type LeaseSettings,
  SlotLeases,
  type TargetDemand,
} from './slot-leases.ts';

/** The slots of shared targets, as the scheduler gives them. */
export interface GivenSlots {
  demands(): readonly TargetDemand[];
  allow(leaseOf: (target: string) => Pick<Allowance, 'slots' | 'until'>): void;
}

export interface LeaseObserver {
  renewed(tookMs: Milliseconds): void;
  failed(reason: string): void;
  /** A slot was given, by which right; `isAllowed` false: beyond what is allowed, of which there must be none. */
  granted(basis: AllowanceBasis, isAllowed: boolean): void;
}

export interface LeaseKeeperOptions {
  readonly replica: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: LeaseStore;
  /** For the log. */
  readonly shownAddress: string;
  readonly settings: LeaseSettings;
  readonly given: GivenSlots;
  readonly observer: LeaseObserver;
}

export interface HeldSlots extends Allowance {
  readonly target: string;
  /** Undefined: the store has not answered yet. */
  readonly granted: SlotGrant | undefined;
  /** Without the store; undefined: not known. */
  readonly evenShare: number | undefined;
}

/** The store is called away, and that is logged, after failures for so long: one late answer is none. */
const AWAY_AFTER_MS: Milliseconds = 1000;
/** The two clocks are read one after the other. */
const READ_WITHIN_MS: Milliseconds = 5;

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #leases: SlotLeases;
  #names: readonly string[] = [];
  #timer: { readonly at: Milliseconds; readonly timer: Timer } | undefined;
  #isAsking = false;
  #isClosed = false;
  #isAway = false;
  #wasRecovering = false;
  /** Wall clock less monotonic clock, when last looked at. */
  #ahead: Milliseconds;

  constructor(options: LeaseKeeperOptions) {
    const { clock } = options;
    this.#options = options;
    this.#leases = new SlotLeases(options.replica, options.settings);
    this.#ahead = wallAhead(clock);
  }

  /** Failures have lasted so long that it is worth saying. */
  get isAway(): boolean {
    return this.#isAway;
  }

  held(): readonly HeldSlots[] {
    return this.#names.map((target) => this.#held(target));
  }

  /** Undefined: there is no such shared target. */
  heldOf(target: string): HeldSlots | undefined {
    return this.#leases.has(target) ? this.#held(target) : undefined;
  }

  #held(target: string): HeldSlots {
    return {
      target,
      ...this.#leases.allowance(target, this.#options.clock.now()),
      granted: this.#leases.grantedOf(target),
      evenShare: this.#leases.evenShareOf(target),
    };
  }

  /**
   * In the turn of each grant. The monotonic clock goes on while a process is stopped, so that its leases end by themselves; while the
   * machine sleeps it may stand still, and only the wall clock shows that.
   */
  beforeGrants(): void {
    const { clock, log } = this.#options;
    const ahead = wallAhead(clock);
    const leapMs = ahead - this.#ahead;
    this.#ahead = ahead;
    if (leapMs <= this.#leases.maxUnseenMs) return;
    log.warn('the clock went forward at once: the leases of shared slots are asked for again', {
      leap_ms: Math.round(leapMs),
    });
    this.#leases.endLeases();
    this.#allow();
  }

  /** Independent of what the scheduler was told: by the time that it is now. */
  granted(target: string, used: number): void {
    const { clock, observer, log } = this.#options;
    const { slots, basis } = this.#leases.allowance(target, clock.now());
    observer.granted(basis, used <= slots);
    if (used > slots) log.error('a slot was given that is not leased', { target, used, slots });
  }

  /** What is needed may have changed. */
  changed(): void {
    if (this.#isClosed) return;
    const demands = this.#options.given.demands();
    this.#names = demands.map(({ target }) => target);
    this.#leases.demand(demands);
    this.#schedule();
  }

  #schedule(): void {
    const { clock } = this.#options;
    const now = clock.now();
    const at = this.#leases.nextRenewalAt(now);
    if (this.#isClosed || this.#isAsking || at === undefined) return;
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.timer.cancel();
    this.#timer = { at, timer: clock.schedule(at - now, () => this.#due()) };
  }

  #due(): void {
    this.#timer = undefined;
    if (this.#isClosed || this.#isAsking) return;
    this.beforeGrants();
    this.#leases.demand(this.#options.given.demands());
    const now = this.#options.clock.now();
    const at = this.#leases.nextRenewalAt(now);
    if (at === undefined || at > now) {
      this.#schedule();
      return;
    }
    this.#isAsking = true;
    const renewal = this.#leases.renewal(now);
    this.#allow();
    void this.#ask(renewal, now);
  }

  async #ask(renewal: Renewal, askedAt: Milliseconds): Promise<void> {
    const { clock, observer, store } = this.#options;
    try {
      const grants = await this.#inTime(store.renew(renewal));
      observer.renewed(clock.now() - askedAt);
      this.#leases.answered(renewal.sequence, grants);
      this.#noteAnswer(grants);
    } catch (error) {
      this.#leases.failed(renewal.sequence, clock.now());
      observer.failed(reasonOf(error));
      this.#noteFailure(error);
    }
    this.#isAsking = false;
    this.#allow();
    this.#schedule();
  }

  #allow(): void {
    const { given, clock } = this.#options;
    const now = clock.now();
    given.allow((target) => this.#leases.allowance(target, now));
  }

  #noteAnswer(grants: readonly SlotGrant[] | undefined): void {
    const { log, shownAddress } = this.#options;
    if (this.#isAway) log.info(`The lease store at ${shownAddress} is used again: shared slots are leased.`);
    this.#isAway = false;
    if (grants === undefined) return;
    const isRecovering = grants.some((grant) => grant.isRecovering);
    if (isRecovering && !this.#wasRecovering)
      log.info(
        `The lease store at ${shownAddress} is new, has started again, or was away: for some seconds it grants nothing beyond what replicas hold.`,
      );
    this.#wasRecovering = isRecovering;
  }

  #noteFailure(error: unknown): void {
    const { log, clock, shownAddress } = this.#options;
    const { failsSince = Number.POSITIVE_INFINITY } = this.#leases;
    if (this.#isAway || this.#isClosed || clock.now() - failsSince < AWAY_AFTER_MS) return;
    this.#isAway = true;
    const message = error instanceof Error ? error.message : String(error);
    log.warn(`The lease store at ${shownAddress} can't be asked: ${message} ${MEANWHILE[this.#meanwhile]}`, {
      reason: reasonOf(error),
    });
  }

  get #meanwhile(): keyof typeof MEANWHILE {
    if (this.#options.settings.onFailure === 'stop') return 'stop';
    return this.#names.some((name) => this.#leases.evenShareOf(name) !== undefined) ? 'share' : 'unknown';
  }

  #inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const { clock, settings } = this.#options;
    return new Promise((resolve, reject) => {
      // Where this process was busy, the answer may be there and not yet be read: the end of the turn comes after that.
      const timer = clock.schedule(settings.timeoutMs, () => clock.atEndOfTurn(expire));
      const expire = () => reject(new LateAnswer(settings.timeoutMs));
      answer.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  /** Gives everything back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.timer.cancel();
    const { replica, store } = this.#options;
    if (this.#leases.failsSince === undefined)
      await this.#inTime(store.leave(replica, this.#names)).catch(() => {});
    await store.close();
  }
}

class LateAnswer extends Error {
  readonly reason = 'slow';

  constructor(timeoutMs: Milliseconds) {
    super(`No answer within ${timeoutMs} ms (leases.timeout_ms).`);
  }
}

const MEANWHILE = {
  share:
    'When the leases have ended, this replica uses its even share of shared slots, by the replicas that there were last (leases.on_failure).',
  unknown:
    'This replica has not been there for long enough to know how many share the slots: it begins nothing at shared targets until the store is back, and /ready says so.',
  stop: 'When the leases have ended, this replica begins nothing at shared targets (leases.on_failure).',
} as const;

function reasonOf(error: unknown): string {
  const { reason } = (error ?? {}) as { readonly reason?: unknown };
  return typeof reason === 'string' ? reason : 'other';
}

/** By how much the wall clock is ahead of the monotonic one. Read again where the process was interrupted between the two. */
function wallAhead(clock: Pick<Clock, 'now' | 'wallNow'>): Milliseconds {
  for (;;) {
    const before = clock.now();
    const ahead = clock.wallNow() - before;
    if (clock.now() - before < READ_WITHIN_MS) return ahead;
  }
}
