/**
 * The health of one target: whether it gets requests, from what probes report and from how requests end there. Pure: time and
 * randomness come in as arguments. Invariant, kept with `lastResort`: of a model's targets that their probes find up, at least one
 * is in service, unless all are drained.
 */
import type { Milliseconds } from '../core/clock.ts';
import { type FailureCause, meaningOf } from '../core/failure.ts';

/** Each with one sentence for docs/reliability.md and the API description. */
export const HEALTH_STATES = {
  starting: 'The server is loading the model, or restarting. Requests wait for it.',
  ready: 'It gets requests.',
  degraded: 'It gets requests, but some of the last ones failed.',
  ejected: 'It gets no requests for a while: too many failed.',
  probing: 'It gets one request. Its end decides between ready and ejected.',
  draining: 'An operator has taken it out of service. Requests that run there go on.',
  down: 'Its probe fails. It gets no requests.',
} as const satisfies Record<string, string>;

export type HealthState = keyof typeof HEALTH_STATES;

/** What a probe found: it serves; it will, as it is loading or restarting; neither. */
export type Reachability = 'up' | 'coming' | 'down';

/** The model's other targets. */
export interface OtherTargets {
  /** Those that are ready or degraded. */
  readonly inService: number;
  readonly all: number;
}

/** One request that was sent to the target. */
interface Attempt {
  readonly startedAt: Milliseconds;
}

interface FailedAttempt extends Attempt {
  readonly cause: FailureCause;
  /** The server asked to be left alone for so long. */
  readonly retryAfterMs?: Milliseconds | undefined;
}

export interface HealthChange {
  readonly from: HealthState;
  readonly to: HealthState;
  /** Completes a log line: why. */
  readonly reason: string;
  /** Of the failure that led to it. */
  readonly cause?: FailureCause;
  /** How long it is ejected. */
  readonly forMs?: Milliseconds;
}

const AFTER_PROBE: Readonly<Record<Reachability, HealthState>> = {
  up: 'ready',
  coming: 'starting',
  down: 'down',
};
/** States in which the end of a request says something new. */
const JUDGED: ReadonlySet<HealthState> = new Set(['ready', 'degraded', 'probing']);

/** Faults in a row that eject; failures in a row, be they faults or slowness, that eject or degrade. */
const EJECTING_FAULTS = 3;
const EJECTING_FAILURES = 5;
const DEGRADING_FAILURES = 2;
/** Shares of the requests that ended within the window, of so many at least. */
const WINDOW_SECONDS = 10;
const MIN_REQUESTS = 10;
const EJECTING_SHARE = 0.5;
const DEGRADING_SHARE = 0.2;
const RECOVERED_SHARE = 0.1;

const FIRST_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 60_000;
/** Of the back-off, to either side: targets that failed together do not come back together. */
const JITTER = 0.2;
/** Ready for so long, its next ejection is a first one again; without a failure for so long, it is not degraded any more. */
const HEALTHY_MS = 60_000;

export function isInService(state: HealthState): boolean {
  return state === 'ready' || state === 'degraded';
}

/** Which of a model's targets returns before its time, as none is in service: the one that would be back first. */
export function lastResort(targets: readonly TargetHealth[]): TargetHealth | undefined {
  if (targets.some(({ state }) => isInService(state))) return undefined;
  let first: TargetHealth | undefined;
  for (const target of targets)
    if (target.returnsAt < (first?.returnsAt ?? Number.POSITIVE_INFINITY)) first = target;
  return first;
}

export class TargetHealth {
  readonly #random: () => number;
  readonly #recent = new RecentAttempts();
  #state: HealthState;
  #reachability: Reachability;
  #since: Milliseconds;
  /** Ejections since it was last healthy: each doubles the back-off. */
  #ejections = 0;
  /** When it left service for the last time. The ends of requests that began by then say nothing of what it is now. */
  #leftAt = Number.NEGATIVE_INFINITY;
  #ejectedUntil: Milliseconds = 0;
  #lastFailureAt: Milliseconds = 0;
  #faultsInARow = 0;
  #failuresInARow = 0;

  /** `random`: at least 0 and below 1. */
  constructor(options: {
    readonly reachability: Reachability;
    readonly now: Milliseconds;
    readonly random: () => number;
  }) {
    this.#random = options.random;
    this.#reachability = options.reachability;
    this.#since = options.now;
    this.#state = AFTER_PROBE[options.reachability];
  }

  get state(): HealthState {
    return this.#state;
  }

  /** When `due` has something to do; undefined: not by time alone. */
  get dueAt(): Milliseconds | undefined {
    if (this.#state === 'ejected') return this.#ejectedUntil;
    return this.#state === 'degraded' ? this.#lastFailureAt + HEALTHY_MS : undefined;
  }

  /** A probe has ended. A target that serves keeps its state: what requests meet there counts more than its probe. */
  probed(reachability: Reachability, now: Milliseconds, others: OtherTargets): HealthChange | undefined {
    this.#reachability = reachability;
    if (this.#state === 'draining') return undefined;
    if (reachability !== 'up') {
      const to = AFTER_PROBE[reachability];
      const reason = reachability === 'coming' ? 'it is loading' : 'its probe fails';
      return this.#state === to ? undefined : this.#enter(to, now, { reason });
    }
    if (this.#state !== 'starting' && this.#state !== 'down') return undefined;
    this.#forgetAttempts();
    const isSuspect = this.#ejections > 0 && others.inService > 0;
    return this.#enter(isSuspect ? 'probing' : 'ready', now, { reason: 'its probe succeeds' });
  }

  /** An ejected target may get requests that nothing else could answer: one of them that succeeds ends the ejection. */
  succeeded({ startedAt }: Attempt, now: Milliseconds): HealthChange | undefined {
    const counts = JUDGED.has(this.#state) || this.#state === 'ejected';
    if (!counts || startedAt <= this.#leftAt) return undefined;
    this.#faultsInARow = 0;
    this.#failuresInARow = 0;
    this.#recent.add('succeeded', now);
    if (this.#state === 'ready') return undefined;
    if (this.#state === 'degraded' && this.#failedShare(now) >= RECOVERED_SHARE) return undefined;
    return this.#enter('ready', now, { reason: 'a request succeeded' });
  }

  failed(failure: FailedAttempt, now: Milliseconds, others: OtherTargets): HealthChange | undefined {
    const { cause, startedAt, retryAfterMs = 0 } = failure;
    const kind = meaningOf(cause).health;
    if (kind === 'none' || !JUDGED.has(this.#state) || startedAt <= this.#leftAt) return undefined;
    this.#lastFailureAt = now;
    this.#failuresInARow += 1;
    if (kind === 'fault') this.#faultsInARow += 1;
    this.#recent.add(kind, now);
    if (kind === 'slow' && retryAfterMs > 0 && others.inService > 0) {
      const reason = `the server asks for a pause (${cause})`;
      return this.#eject({ cause, reason, pauseMs: retryAfterMs }, now);
    }
    const ejection = this.#ejection(cause, now);
    if (ejection === undefined) {
      const reason = this.#doubt(cause, now);
      return reason === undefined ? undefined : this.#degrade(reason, cause, now);
    }
    const { reason, isSlowness } = ejection;
    if (mayLeave(isSlowness, others)) return this.#eject({ cause, reason }, now);
    return this.#degrade(`${reason}; it stays in service, as too few others can serve`, cause, now);
  }

  /** To be called at `dueAt`; earlier calls do nothing. */
  due(now: Milliseconds): HealthChange | undefined {
    const { dueAt } = this;
    if (dueAt === undefined || now < dueAt) return undefined;
    if (this.#state === 'degraded')
      return this.#enter('ready', now, { reason: 'no request failed for a minute' });
    return this.#enter('probing', now, { reason: 'its next request decides' });
  }

  /** No other target of the model is in service: chosen by `lastResort`. */
  returnAsLast(now: Milliseconds): HealthChange | undefined {
    if (this.#state !== 'ejected' && this.#state !== 'probing') return undefined;
    this.#forgetAttempts();
    this.#lastFailureAt = now;
    return this.#enter('degraded', now, { reason: 'no other target can serve' });
  }

  /** When its ejection ends; infinite in states that do not end by time. */
  get returnsAt(): Milliseconds {
    if (this.#state === 'probing') return this.#since;
    return this.#state === 'ejected' ? this.#ejectedUntil : Number.POSITIVE_INFINITY;
  }

  drain(now: Milliseconds): HealthChange | undefined {
    if (this.#state === 'draining') return undefined;
    return this.#enter('draining', now, { reason: 'an operator drains it' });
  }

  /** Ends a drain or an ejection: an operator knows better. What was known of earlier failures is forgotten. */
  enable(now: Milliseconds): HealthChange | undefined {
    this.#forgetAttempts();
    this.#ejections = 0;
    const to = AFTER_PROBE[this.#reachability];
    return this.#state === to ? undefined : this.#enter(to, now, { reason: 'an operator enables it' });
  }

  #enter(to: HealthState, now: Milliseconds, why: Pick<HealthChange, 'reason' | 'cause'>): HealthChange {
    const from = this.#state;
    if (from === 'ready' && now - this.#since >= HEALTHY_MS) this.#ejections = 0;
    if (!JUDGED.has(to)) this.#leftAt = now;
    this.#state = to;
    this.#since = now;
    return { from, to, ...why };
  }

  /** `pauseMs`: as the server asks; absent: the back-off. */
  #eject(
    {
      pauseMs,
      ...why
    }: { readonly reason: string; readonly cause: FailureCause; readonly pauseMs?: Milliseconds },
    now: Milliseconds,
  ): HealthChange {
    this.#forgetAttempts();
    const change = this.#enter('ejected', now, why);
    const forMs = pauseMs ?? this.#nextBackoff();
    this.#ejectedUntil = now + forMs;
    return { ...change, forMs };
  }

  #degrade(reason: string, cause: FailureCause, now: Milliseconds): HealthChange | undefined {
    return this.#state === 'degraded' ? undefined : this.#enter('degraded', now, { reason, cause });
  }

  /** Counts an ejection. */
  #nextBackoff(): Milliseconds {
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#ejections);
    this.#ejections += 1;
    return backoffMs * (1 - JITTER + 2 * JITTER * this.#random());
  }

  /** Why it should leave service; `isSlowness`: it may only be under load. */
  #ejection(
    cause: FailureCause,
    now: Milliseconds,
  ): { readonly reason: string; readonly isSlowness: boolean } | undefined {
    if (this.#state === 'probing')
      return { reason: `the request that it got failed (${cause})`, isSlowness: false };
    const { all, faults, slow } = this.#recent.read(now);
    const minFailed = Math.max(MIN_REQUESTS, all) * EJECTING_SHARE;
    const isOften = all >= MIN_REQUESTS && faults + slow >= minFailed;
    const isInARow = this.#faultsInARow >= EJECTING_FAULTS || this.#failuresInARow >= EJECTING_FAILURES;
    if (!isOften && !isInARow) return undefined;
    const isSlowness = this.#faultsInARow < EJECTING_FAULTS && faults < minFailed;
    return { reason: isInARow ? this.#failedInARow(cause) : this.#failedOften(cause, now), isSlowness };
  }

  /** Why it should be degraded. */
  #doubt(cause: FailureCause, now: Milliseconds): string | undefined {
    if (this.#failuresInARow >= DEGRADING_FAILURES) return this.#failedInARow(cause);
    return this.#failedShare(now) >= DEGRADING_SHARE ? this.#failedOften(cause, now) : undefined;
  }

  #failedInARow(cause: FailureCause): string {
    return `${this.#failuresInARow} requests in a row failed, the last with ${cause}`;
  }

  #failedOften(cause: FailureCause, now: Milliseconds): string {
    const { faults, slow, all } = this.#recent.read(now);
    return `${faults + slow} of ${all} requests failed within ${WINDOW_SECONDS} s, the last with ${cause}`;
  }

  /** 0 while there are too few requests to tell. */
  #failedShare(now: Milliseconds): number {
    const { faults, slow, all } = this.#recent.read(now);
    return all < MIN_REQUESTS ? 0 : (faults + slow) / all;
  }

  #forgetAttempts(): void {
    this.#recent.clear();
    this.#faultsInARow = 0;
    this.#failuresInARow = 0;
  }
}

/**
 * Faults: as long as another target is in service. Slowness: as long as half of the model's targets are, for where all of them are
 * slow, it is load, and fewer targets are slower still.
 */
function mayLeave(isSlowness: boolean, { inService, all }: OtherTargets): boolean {
  return inService >= (isSlowness ? Math.ceil((all + 1) / 2) : 1);
}

type Ending = 'succeeded' | 'fault' | 'slow';

interface EndingCounts {
  readonly all: number;
  readonly faults: number;
  readonly slow: number;
}

/** How the requests of the last seconds ended: one bucket a second, so that its size does not depend on their number. */
class RecentAttempts {
  readonly #buckets: { second: number; all: number; faults: number; slow: number }[] = [];

  add(ending: Ending, now: Milliseconds): void {
    const second = Math.floor(now / 1000);
    const place = second % WINDOW_SECONDS;
    let bucket = this.#buckets[place];
    if (bucket?.second !== second) {
      bucket = { second, all: 0, faults: 0, slow: 0 };
      this.#buckets[place] = bucket;
    }
    bucket.all += 1;
    if (ending === 'fault') bucket.faults += 1;
    else if (ending === 'slow') bucket.slow += 1;
  }

  read(now: Milliseconds): EndingCounts {
    const oldest = Math.floor(now / 1000) - WINDOW_SECONDS;
    const sum = { all: 0, faults: 0, slow: 0 };
    for (const bucket of this.#buckets) {
      if (bucket === undefined || bucket.second <= oldest) continue;
      sum.all += bucket.all;
      sum.faults += bucket.faults;
      sum.slow += bucket.slow;
    }
    return sum;
  }

  clear(): void {
    this.#buckets.length = 0;
  }
}
