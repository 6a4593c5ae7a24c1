/**
 * How many threads the next decode step takes. All cores are fastest while the engine has them to itself; beside other
 * load the threads of a step wait for each other at every layer, and fewer are many times faster. So it measures: one
 * level is kept until its steps get slow, then the level below is tried; later the level above, less and less often.
 * Pure: costs and time come in. Owns what it has measured.
 */
import type { Milliseconds } from '../../../core/clock.ts';
import { StepCosts } from './step-costs.ts';

const TRIAL_STEPS = 2;
const STEPS_BEFORE_A_TRIAL = 4;
const WEIGHT_OF_NEWEST = 0.3;
/** Slower than at its best by so much: something else uses the cores. */
const SLOW_FACTOR = 2.5;
/** A change must be worth it, and a trial that goes badly is cut short. */
const WORTH_FACTOR = 1.3;
const HOPELESS_FACTOR = 3;
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;

interface Trial {
  readonly level: number;
  steps: number;
  totalCost: number;
}

export class ThreadGovernor {
  /** Most first: 8, 4, 2, 1. */
  readonly #levels: readonly number[];
  readonly #costs = new StepCosts();
  #level = 0;
  #steps = 0;
  #cost = 0;
  #bestCost = Number.POSITIVE_INFINITY;
  #compared = false;
  #trial: Trial | undefined;
  #pauseMs: Milliseconds = FIRST_PAUSE_MS;
  #nextTrialAt: Milliseconds = 0;

  constructor(mostThreads: number) {
    const levels: number[] = [];
    for (let threads = mostThreads; threads >= 1; threads = Math.floor(threads / 2)) levels.push(threads);
    this.#levels = levels;
  }

  get threads(): number {
    return this.#levels[this.#trial?.level ?? this.#level] ?? 1;
  }

  /** The step that took `threads` is over. */
  recordStep(step: { readonly tokens: number; readonly durationMs: Milliseconds }, now: Milliseconds): void {
    this.record(this.#costs.relative(step.tokens, step.durationMs), now);
  }

  /** The same. `cost`: its time in relation to its work, in any unit. */
  record(cost: number, now: Milliseconds): void {
    if (this.#trial) {
      this.#recordTrial(this.#trial, cost, now);
      return;
    }
    this.#steps += 1;
    this.#cost = this.#steps === 1 ? cost : this.#cost + WEIGHT_OF_NEWEST * (cost - this.#cost);
    if (this.#steps < STEPS_BEFORE_A_TRIAL) return;
    this.#bestCost = Math.min(this.#bestCost, this.#cost);
    const level = this.#levelToTry(now);
    if (level !== undefined) this.#trial = { level, steps: 0, totalCost: 0 };
  }

  #levelToTry(now: Milliseconds): number | undefined {
    const hasBelow = this.#level + 1 < this.#levels.length;
    if (hasBelow && !this.#compared) return this.#level + 1;
    if (now < this.#nextTrialAt) return undefined;
    if (hasBelow && this.#cost > SLOW_FACTOR * this.#bestCost) return this.#level + 1;
    return this.#level > 0 ? this.#level - 1 : undefined;
  }

  #recordTrial(trial: Trial, cost: number, now: Milliseconds): void {
    trial.steps += 1;
    trial.totalCost += cost;
    const hopeless = cost > HOPELESS_FACTOR * this.#cost;
    if (trial.steps < TRIAL_STEPS && !hopeless) return;
    const better = trial.totalCost / trial.steps < this.#cost / WORTH_FACTOR;
    const down = trial.level > this.#level;
    this.#trial = undefined;
    this.#compared = true;
    if (better) {
      this.#moveTo(trial.level, now, down);
      return;
    }
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
    this.#nextTrialAt = now + this.#pauseMs;
  }

  #moveTo(level: number, now: Milliseconds, down: boolean): void {
    this.#level = level;
    this.#steps = 0;
    this.#bestCost = Number.POSITIVE_INFINITY;
    // Below, the next level down is worth a comparison at once; above, the one left has just been compared.
    this.#compared = !down;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#nextTrialAt = now + this.#pauseMs;
  }
}
