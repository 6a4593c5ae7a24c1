/**
 * Finds out how many requests a server should run at the same time (`slots: auto`): as many as keep its throughput at its peak and its
 * own queue near zero, so that what waits, waits here, where order and fairness are decided (decision 0056). Pure: time comes in.
 *
 * It measures a number of slots, tries a neighbour, and keeps the better one. Throughput is the number of requests times the tokens
 * per second of one of them, by the requests that began and ended meanwhile: that needs few of them, however their lengths differ.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';

/** Of the scale of slots, on which it moves. */
const STEP = 1.25;
/** Steps of one move as long as they bring much: about a doubling. */
const LEAP = 3;
const START = 16;
/** Requests and time that a measurement needs, at least. It also needs as many requests as there are slots. */
const MIN_ENDED = 16;
const MIN_PERIOD_MS: Milliseconds = 2000;
/** Part of the time in which all slots were held: otherwise their number made no difference. */
const MIN_SATURATION = 0.8;
/** What a step up must bring, and one down may cost beside the best that was measured. */
const MIN_GAIN = 0.02;
const MAX_LOSS = 0.02;
/** Part of the difference to the best that each measurement leaves. */
const BEST_LASTS = 0.75;
/** Then a server works differently than before. */
const CHANGED = 0.15;
/** A first token that takes so much longer has waited in the server's queue: the step up must bring more. */
const LATE_FIRST_TOKEN = 1.5;
const MIN_GAIN_IF_LATE = 0.06;
/** Requests in the server's own queue that do not matter: some are always just arriving. */
const HARMLESS_WAITING = 0.5;
const HARMLESS_WAITING_PART = 0.03;
/** Beyond it, requests that wait so long at the server are a queue, though nothing reports it. */
const MAX_QUEUED_PART = 0.25;
/** Of the earliest first token that was measured: prompts may have become longer. */
const LEAST_FADES = 0.02;
/** Reports that make a queue: one may have seen a burst. */
const REPORTS_OF_QUEUE = 3;
/** Part of the slots that is taken away at once. */
const MAX_CUT = 1 / 3;
/** Beyond it, the server may soon have to throw out what it has computed. */
const FULL_KV_CACHE = 0.95;
/** Measurements before a neighbour is tried again, from few to many while nothing changes. */
const MIN_REST = 4;
const MAX_REST = 32;

interface Ended {
  readonly startedAt: Milliseconds;
  /** `busy` when it started. */
  readonly busyAtStart: number;
  readonly tokens: number;
  readonly firstTokenMs: Milliseconds | undefined;
}

interface Measured {
  /** Tokens per millisecond, of all requests together. */
  readonly throughput: number;
  readonly firstTokenMs: Milliseconds | undefined;
}

export class AdaptiveSlots {
  readonly max: number;
  readonly #scale: readonly number[];
  #index: number;
  /** What is kept unless the trial is better. */
  #base: number;
  #measured: Measured | undefined;
  /** The best since the slots were last raised: small losses must not add up. */
  #best = 0;
  /** The earliest first token, of the mean of a measurement. */
  #leastFirstTokenMs: Milliseconds = Number.POSITIVE_INFINITY;
  #trial: 'none' | 'up' | 'down' = 'none';
  #next: 'up' | 'down' = 'up';
  /** There were more slots just before. */
  #wasHigher = false;
  #leap = LEAP;
  /** Measurements until the next trial. */
  #rest = 0;
  #nextRest = MIN_REST;
  // Of the measurement under way:
  #since: Milliseconds;
  #ended = 0;
  #tokens = 0;
  #milliseconds: Milliseconds = 0;
  #firstTokenMs: Milliseconds = 0;
  #firstTokens = 0;
  #saturatedMs: Milliseconds = 0;
  #kvCacheUsed = 0;
  #waiting = 0;
  #reports = 0;
  // Of the slots that are held:
  #used = 0;
  #usedSince: Milliseconds;
  #busy = 0;

  constructor({ max, now }: { readonly max: number; readonly now: Milliseconds }) {
    this.max = max;
    this.#scale = scaleUpTo(max);
    this.#index = this.#indexOf(Math.min(START, max));
    this.#base = this.#index;
    this.#since = now;
    this.#usedSince = now;
  }

  get slots(): number {
    return this.#scale[this.#index] ?? 1;
  }

  /** Slots that were held, over time; milliseconds. */
  busy(now: Milliseconds): number {
    return this.#busy + this.#used * (now - this.#usedSince);
  }

  /** So many slots are held from now on. */
  hold(used: number, now: Milliseconds): void {
    this.#busy = this.busy(now);
    if (this.#used >= this.slots) this.#saturatedMs += now - this.#usedSince;
    this.#used = used;
    this.#usedSince = now;
  }

  reported({ waiting = 0, kvCacheUsed = 0 }: LoadReport, now: Milliseconds): void {
    // Those of before a cut are still there.
    if (this.#used > this.slots) return;
    this.#kvCacheUsed = Math.max(this.#kvCacheUsed, kvCacheUsed);
    this.#waiting += waiting;
    this.#reports += 1;
    if (this.#reports < REPORTS_OF_QUEUE) return;
    const mean = this.#waiting / this.#reports;
    if (mean > HARMLESS_WAITING + HARMLESS_WAITING_PART * this.slots) {
      this.#cut(mean);
      this.#begin(now);
    }
    this.#waiting = 0;
    this.#reports = 0;
  }

  /** A request has been completed. */
  ended({ startedAt, busyAtStart, tokens, firstTokenMs }: Ended, now: Milliseconds): void {
    const milliseconds = now - startedAt;
    if (startedAt < this.#since || milliseconds <= 0) return;
    // Requests that ran beside it, itself included, times its tokens.
    this.#tokens += ((this.busy(now) - busyAtStart) / milliseconds) * tokens;
    this.#milliseconds += milliseconds;
    this.#ended += 1;
    if (firstTokenMs !== undefined) {
      this.#firstTokenMs += firstTokenMs;
      this.#firstTokens += 1;
    }
    if (this.#ended >= Math.max(MIN_ENDED, this.slots) && now - this.#since >= MIN_PERIOD_MS)
      this.#decide(now);
  }

  #decide(now: Milliseconds): void {
    this.hold(this.#used, now);
    const measured = {
      throughput: this.#tokens / this.#milliseconds,
      firstTokenMs: this.#firstTokens === 0 ? undefined : this.#firstTokenMs / this.#firstTokens,
    };
    const queued = this.#queuedPart(measured.firstTokenMs);
    const wasHigher = this.#wasHigher;
    this.#wasHigher = false;
    // What more slots have left in the server's queue is no fault of fewer.
    if (queued > MAX_QUEUED_PART && !wasHigher) {
      if (this.#trial === 'up') {
        this.#return();
        this.#failed('down');
      } else this.#cut(queued * this.slots);
    } else if (this.#saturatedMs / (now - this.#since) < MIN_SATURATION) this.#return();
    else if (this.#trial === 'none') this.#measuredBase(measured);
    else if (this.#trial === 'up') this.#triedUp(measured);
    else this.#triedDown(measured);
    this.#begin(now);
  }

  /** Part of their time that requests wait at the server, by first tokens later than they once were. */
  #queuedPart(firstTokenMs: Milliseconds | undefined): number {
    if (firstTokenMs === undefined) return 0;
    const least = Math.min(this.#leastFirstTokenMs, firstTokenMs);
    this.#leastFirstTokenMs = least + (firstTokenMs - least) * LEAST_FADES;
    return ((firstTokenMs - least) * this.#ended) / this.#milliseconds;
  }

  /** What waits at the server may as well wait here. */
  #cut(waiting: number): void {
    const less = this.slots - Math.min(waiting, this.slots * MAX_CUT);
    this.#index = Math.max(0, Math.min(this.#indexOf(less), this.#index - 1));
    this.#base = this.#index;
    this.#measured = undefined;
    this.#best = 0;
    this.#trial = 'none';
    this.#wasHigher = true;
    this.#leap = 1;
    this.#next = 'up';
    this.#pause();
  }

  #measuredBase(measured: Measured): void {
    const before = this.#measured?.throughput ?? measured.throughput;
    this.#measured = measured;
    if (Math.abs(measured.throughput / before - 1) > CHANGED) {
      this.#best = 0;
      this.#nextRest = MIN_REST;
      this.#rest = 0;
    }
    // The best fades: the server may have become slower since.
    const lost = Math.max(0, this.#best - measured.throughput);
    this.#best = measured.throughput + lost * BEST_LASTS;
    this.#rest -= 1;
    if (this.#rest <= 0) this.#try(this.#next);
  }

  #triedUp(measured: Measured): void {
    const { throughput, firstTokenMs } = this.#measured ?? measured;
    const isLate =
      (measured.firstTokenMs ?? 0) > LATE_FIRST_TOKEN * (firstTokenMs ?? Number.POSITIVE_INFINITY);
    const gain = measured.throughput / throughput - 1;
    if (gain >= (isLate ? MIN_GAIN_IF_LATE : MIN_GAIN) * (this.#index - this.#base)) {
      this.#base = this.#index;
      this.#measured = measured;
      this.#best = measured.throughput;
      this.#nextRest = MIN_REST;
      this.#try('up');
      return;
    }
    const wasLeap = this.#leap > 1;
    this.#leap = 1;
    this.#return();
    if (wasLeap) this.#try('up');
    else this.#failed('down');
  }

  #triedDown(measured: Measured): void {
    const { firstTokenMs } = this.#measured ?? measured;
    const wasLate =
      (firstTokenMs ?? 0) > LATE_FIRST_TOKEN * (measured.firstTokenMs ?? Number.POSITIVE_INFINITY);
    if (measured.throughput >= this.#best * (1 - (wasLate ? MIN_GAIN_IF_LATE : MAX_LOSS))) {
      this.#base = this.#index;
      this.#measured = measured;
      this.#best = Math.max(this.#best, measured.throughput);
      this.#try('down');
      return;
    }
    this.#return();
    this.#failed('up');
  }

  /** `next`: what is tried after a rest. The other direction is tried at once if it has not been since the last success. */
  #failed(next: 'up' | 'down'): void {
    const isFirst = next === 'down' && this.#next === 'up';
    this.#next = next;
    if (isFirst) this.#rest = 1;
    else this.#pause();
  }

  #pause(): void {
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(MAX_REST, this.#nextRest * 2);
  }

  #return(): void {
    this.#wasHigher = this.#index > this.#base;
    this.#index = this.#base;
    this.#trial = 'none';
  }

  #try(direction: 'up' | 'down'): void {
    const index =
      direction === 'up' ? Math.min(this.#scale.length - 1, this.#base + this.#leap) : this.#base - 1;
    const isPossible =
      direction === 'down' ? index >= 0 : index > this.#base && this.#kvCacheUsed < FULL_KV_CACHE;
    this.#next = direction;
    this.#trial = isPossible ? direction : 'none';
    this.#index = isPossible ? index : this.#base;
    if (!isPossible) this.#failed(direction === 'up' ? 'down' : 'up');
  }

  #begin(now: Milliseconds): void {
    this.#since = now;
    this.#ended = 0;
    this.#tokens = 0;
    this.#milliseconds = 0;
    this.#firstTokenMs = 0;
    this.#firstTokens = 0;
    this.#saturatedMs = 0;
    this.#kvCacheUsed = 0;
  }

  /** The nearest step, by proportion. */
  #indexOf(slots: number): number {
    const scale = this.#scale;
    let index = 0;
    while (index + 1 < scale.length && slots ** 2 > (scale[index] ?? 1) * (scale[index + 1] ?? 1)) index += 1;
    return index;
  }
}

function scaleUpTo(max: number): readonly number[] {
  const scale = [1];
  for (let slots = 1; slots < max; ) {
    slots = Math.min(max, Math.max(slots + 1, Math.round(slots * STEP)));
    scale.push(slots);
  }
  return scale;
}
