/**
 * Monitors one target: probes it about once a second (one probe at a time, for at most 1 s), warms its model up, tells its health how
 * probes and requests ended, and reports each change once. Owns `target.status` and `target.health`.
 */
import { isDeepStrictEqual } from 'node:util';
import type { LoadReport, TargetStatus } from '../core/backend.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import { type HealthChange, type OtherTargets, TargetHealth } from '../scheduling/target-health.ts';
import { canServe, reachabilityOf, type Target } from './targets.ts';

const PROBE_INTERVAL_MS = 1000;
const PROBE_TIMEOUT_MS = 1000;
/** After that many probes in a row without an answer, the target's state is what the last one reports. */
const MAX_SLOW_PROBES = 3;
/** After that many probes in a row without a report of the load, the last one does not count any more. */
const MAX_MISSING_REPORTS = 3;
const FIRST_WARM_UP_BACKOFF_MS = 1000;
const MAX_WARM_UP_BACKOFF_MS = 300_000;
/** A model that stayed loaded for so long was not displaced by another: its next warm-up begins at once again. */
const STABLE_LOAD_MS = 60_000;

interface MonitorOptions {
  readonly target: Target;
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** The model's other targets. */
  readonly others: () => OtherTargets;
  /** `before`: its status before; `change`: of its health, if that has changed. */
  readonly onChange: (target: Target, before: TargetStatus, change: HealthChange | undefined) => void;
  /** After a probe: how much its server has to do; undefined: it has stopped reporting it. */
  readonly onLoad: (target: Target, load: LoadReport | undefined) => void;
  readonly onWarmUpFailed: (target: Target, error: ServingError) => void;
}

export class TargetMonitor {
  readonly health: TargetHealth;
  readonly #options: MonitorOptions;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #probing = false;
  #warming = false;
  #warmedBefore = false;
  #nextWarmUpAt: Milliseconds = 0;
  #backoffMs: Milliseconds = 0;
  #loadedSince: Milliseconds | undefined;
  #slowProbes = 0;
  #missingReports = MAX_MISSING_REPORTS;
  readonly #ejections = new Map<FailureCause, number>();
  /** Of the health's next change by time. */
  #healthTimer: Timer | undefined;
  #healthDueAt: Milliseconds | undefined;

  constructor(options: MonitorOptions) {
    const { target, clock, random } = options;
    this.#options = options;
    this.health = new TargetHealth({ reachability: reachabilityOf(target.status), now: clock.now(), random });
    target.health = this.health.state;
  }

  start(): void {
    if (this.#options.target.embedded) this.#warmUp();
    this.#probe();
  }

  /** Probes now: a request has failed. */
  probeSoon(): void {
    if (!this.#probing && !this.#stopping.signal.aborted) this.#probe();
  }

  /** A request that was sent there at `startedAt` has ended. `error` undefined: it succeeded; one without `failure` says nothing. */
  attemptEnded(error: ServingError | undefined, startedAt: Milliseconds): void {
    const now = this.#options.clock.now();
    if (error === undefined) {
      this.#healthChanged(this.health.succeeded({ startedAt }, now));
      return;
    }
    const { failure: cause, retryAfterSeconds } = error;
    if (cause === undefined) return;
    const retryAfterMs = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000;
    this.#healthChanged(this.health.failed({ cause, startedAt, retryAfterMs }, now, this.#options.others()));
  }

  /** How often it was ejected, by the cause of the last failure before. */
  get ejections(): ReadonlyMap<FailureCause, number> {
    return this.#ejections;
  }

  /** No other target of the model is in service. */
  returnAsLast(): void {
    this.#healthChanged(this.health.returnAsLast(this.#options.clock.now()));
  }

  drain(): void {
    this.#healthChanged(this.health.drain(this.#options.clock.now()));
  }

  enable(): void {
    this.#healthChanged(this.health.enable(this.#options.clock.now()));
  }

  stop(): void {
    this.#stopping.abort(new ServingError('draining'));
    this.#timer?.cancel();
    this.#healthTimer?.cancel();
  }

  #healthChanged(change: HealthChange | undefined): void {
    this.#awaitHealth();
    const { target, onChange } = this.#options;
    if (change === undefined || this.#stopping.signal.aborted) return;
    target.health = change.to;
    const { to, cause } = change;
    if (to === 'ejected' && cause !== undefined)
      this.#ejections.set(cause, (this.#ejections.get(cause) ?? 0) + 1);
    onChange(target, target.status, change);
  }

  #awaitHealth(): void {
    const { dueAt } = this.health;
    if (dueAt === this.#healthDueAt || this.#stopping.signal.aborted) return;
    const { clock } = this.#options;
    this.#healthTimer?.cancel();
    this.#healthTimer = undefined;
    this.#healthDueAt = dueAt;
    if (dueAt === undefined) return;
    this.#healthTimer = clock.schedule(dueAt - clock.now(), () => {
      this.#healthDueAt = undefined;
      this.#healthChanged(this.health.due(clock.now()));
    });
  }

  #probe(): void {
    const { target, clock } = this.#options;
    this.#timer?.cancel();
    this.#probing = true;
    const probe = new AbortController();
    const atMost = clock.schedule(PROBE_TIMEOUT_MS, () =>
      probe.abort(new ServingError('backend_error', { message: 'The probe timed out.' })),
    );
    const unreachable = (thrown: unknown): TargetStatus => ({
      state: 'unreachable',
      loaded: false,
      detail: toServingError(thrown).message,
    });
    void target.backend
      .probe({ signal: probe.signal })
      .catch(unreachable)
      .then((status) => {
        atMost.cancel();
        this.#probing = false;
        if (this.#stopping.signal.aborted) return;
        this.#slowProbes = probe.signal.aborted ? this.#slowProbes + 1 : 0;
        this.#noteLoad(status.load);
        if (!this.#isBusyRatherThanGone()) this.#observe(status);
        this.#timer = clock.schedule(PROBE_INTERVAL_MS, () => this.#probe());
      });
  }

  #noteLoad(load: LoadReport | undefined): void {
    this.#missingReports = load === undefined ? this.#missingReports + 1 : 0;
    const { target, onLoad } = this.#options;
    if (load !== undefined || this.#missingReports === MAX_MISSING_REPORTS) onLoad(target, load);
  }

  /** A server under load may miss a probe; the requests that wait for it are not rejected for that. */
  #isBusyRatherThanGone(): boolean {
    const wasServing = canServe(this.#options.target.status);
    return wasServing && this.#slowProbes > 0 && this.#slowProbes < MAX_SLOW_PROBES;
  }

  #observe(status: TargetStatus): void {
    const now = this.#options.clock.now();
    if (status.loaded) {
      this.#loadedSince ??= now;
      this.#warmedBefore = true;
      if (now - this.#loadedSince >= STABLE_LOAD_MS) this.#backoffMs = 0;
    } else {
      this.#loadedSince = undefined;
    }
    const wantsWarmUp = status.state === 'unloaded' && !(status.mayUnload && this.#warmedBefore);
    if (wantsWarmUp && !this.#warming && now >= this.#nextWarmUpAt) this.#warmUp();
    const waitsForLoad = status.state === 'unloaded' && (this.#warming || wantsWarmUp);
    this.#set(waitsForLoad ? { ...status, state: 'loading' } : status);
  }

  #warmUp(): void {
    const { target, clock, onWarmUpFailed } = this.#options;
    this.#warming = true;
    this.#nextWarmUpAt = clock.now() + this.#backoffMs;
    this.#backoffMs = Math.min(
      MAX_WARM_UP_BACKOFF_MS,
      Math.max(FIRST_WARM_UP_BACKOFF_MS, this.#backoffMs * 2),
    );
    void target.backend
      .warmUp({ signal: this.#stopping.signal })
      .then(() => {
        this.#warmedBefore = true;
      })
      .catch((thrown: unknown) => {
        if (!this.#stopping.signal.aborted) onWarmUpFailed(target, toServingError(thrown));
      })
      .finally(() => {
        this.#warming = false;
        this.probeSoon();
      });
  }

  #set(status: TargetStatus): void {
    const { target, onChange } = this.#options;
    const before = target.status;
    const details = status.details ?? before.details;
    // Details stay known while the backend reports none, so that listings do not change with every restart.
    target.status = details === undefined ? status : { ...status, details };
    const change = this.health.probed(
      reachabilityOf(status),
      this.#options.clock.now(),
      this.#options.others(),
    );
    target.health = this.health.state;
    this.#awaitHealth();
    const same =
      change === undefined &&
      before.state === status.state &&
      before.loaded === status.loaded &&
      before.slots === status.slots &&
      before.contextSize === status.contextSize &&
      isDeepStrictEqual(before.abilities, status.abilities) &&
      isDeepStrictEqual(before.details, target.status.details);
    if (!same || before.restarting !== status.restarting) onChange(target, before, change);
  }
}
