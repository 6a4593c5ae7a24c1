/**
 * Monitors one target: probes it about once a second (one probe at a time, for at most 1 s), warms its model up, and reports each
 * change once. Owns `target.status`.
 */
import type { TargetStatus } from '../core/backend.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import { canServe, type Target } from './targets.ts';

const PROBE_INTERVAL_MS = 1000;
const PROBE_TIMEOUT_MS = 1000;
/** After that many probes in a row without an answer, the target's state is what the last one reports. */
const MAX_SLOW_PROBES = 3;
const FIRST_WARM_UP_BACKOFF_MS = 1000;
const MAX_WARM_UP_BACKOFF_MS = 300_000;
/** A model that stayed loaded for so long was not displaced by another: its next warm-up begins at once again. */
const STABLE_LOAD_MS = 60_000;

interface MonitorOptions {
  readonly target: Target;
  readonly clock: Clock;
  readonly onChange: (target: Target, before: TargetStatus) => void;
  readonly onWarmUpFailed: (target: Target, error: ServingError) => void;
}

export class TargetMonitor {
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

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.target.embedded) this.#warmUp();
    this.#probe();
  }

  /** Probes now: a request has failed. */
  probeSoon(): void {
    if (!this.#probing && !this.#stopping.signal.aborted) this.#probe();
  }

  stop(): void {
    this.#stopping.abort(new ServingError('draining'));
    this.#timer?.cancel();
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
        if (!this.#isBusyRatherThanGone()) this.#observe(status);
        this.#timer = clock.schedule(PROBE_INTERVAL_MS, () => this.#probe());
      });
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
    const same =
      before.state === status.state &&
      before.loaded === status.loaded &&
      before.slots === status.slots &&
      before.contextSize === status.contextSize;
    if (!same || before.restarting !== status.restarting) onChange(target, before);
  }
}
