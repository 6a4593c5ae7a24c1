/**
 * Finds out how many requests a server should run at the same time (`slots: auto`): as many as keep its throughput at its peak and its
 * own queue near zero, so that what waits, waits here, where order and fairness are decided (decision 0056). Pure: time comes in.
 *
 * Throughput at a number of requests n is n times the tokens per second of one of them, by the requests that have ended: this needs
 * few of them, however their lengths differ. Numbers are compared on a scale whose steps are a quarter each.
 */
import type { LoadReport } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';

const STEP = 1.25;
const START = 16;
/** Requests and time between two decisions, at least. A decision also needs as many requests as there are slots. */
const MIN_ENDED = 16;
const MIN_PERIOD_MS: Milliseconds = 2000;
/** Part of the time in which all slots were held: otherwise their number made no difference. */
const MIN_SATURATION = 0.8;
/** Less is no difference: throughput is measured with an error of about a hundredth. */
const NOTICEABLE = 0.015;
/** By this, doubling the slots must raise throughput while they are doubled. */
const WORTH_DOUBLING = 1.2;
const DOUBLE = 3;
/** Requests in the server's own queue that do not matter: some are always just arriving. */
const HARMLESS_WAITING = 0.5;
const HARMLESS_WAITING_PART = 0.03;
/** Part of the slots that is taken away at once. */
const MAX_CUT = 1 / 3;
/** Beyond it, the server may soon have to throw out what it has computed. */
const FULL_KV_CACHE = 0.95;
/** A first token that takes so much longer than with a step less has waited in the server's queue. */
const LATE_FIRST_TOKEN = 1.5;
/** Decisions after which a neighbour is measured again; the second number where nothing has changed for long. */
const RECHECK_AFTER = { first: 8, last: 32 } as const;
/** What was measured before counts half at each decision. */
const MEMORY = 0.5;

interface Measured {
  /** Tokens, each multiplied by the number of requests that ran beside. */
  tokens: number;
  milliseconds: number;
  ended: number;
  firstTokenMs: number;
  firstTokens: number;
  /** The decision before which it was measured last. */
  at: number;
}

interface Ended {
  readonly startedAt: Milliseconds;
  /** `busy` when it started. */
  readonly busyAtStart: number;
  readonly tokens: number;
  readonly firstTokenMs: Milliseconds | undefined;
}

export class AdaptiveSlots {
  readonly max: number;
  readonly #scale: readonly number[];
  readonly #measured: Measured[];
  #index: number;
  #isDoubling = true;
  /** Throughput before the last doubling. */
  #before = 0;
  #decisions = 0;
  #recheckAfter: number = RECHECK_AFTER.first;
  /** No more slots before that decision: the server had a queue, or a step up brought nothing. */
  #holdUntil = 0;
  // Since the last decision:
  #since: Milliseconds;
  #ended = 0;
  #saturatedMs: Milliseconds = 0;
  #waiting = 0;
  #reports = 0;
  #kvCacheUsed = 0;
  // Of the slots that are held:
  #used = 0;
  #usedSince: Milliseconds;
  #busy = 0;

  constructor({ max, now }: { readonly max: number; readonly now: Milliseconds }) {
    this.max = max;
    this.#scale = scaleUpTo(max);
    this.#measured = this.#scale.map(() => ({
      tokens: 0,
      milliseconds: 0,
      ended: 0,
      firstTokenMs: 0,
      firstTokens: 0,
      at: Number.NEGATIVE_INFINITY,
    }));
    this.#index = this.#indexOf(Math.min(START, max));
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

  reported({ waiting = 0, kvCacheUsed = 0 }: LoadReport): void {
    this.#waiting += waiting;
    this.#reports += 1;
    this.#kvCacheUsed = Math.max(this.#kvCacheUsed, kvCacheUsed);
  }

  /** A request has been completed. */
  ended({ startedAt, busyAtStart, tokens, firstTokenMs }: Ended, now: Milliseconds): void {
    const milliseconds = now - startedAt;
    if (milliseconds <= 0 || tokens <= 0) return;
    const beside = (this.busy(now) - busyAtStart) / milliseconds;
    const measured = this.#measured[this.#indexOf(beside)];
    if (measured !== undefined) {
      measured.tokens += beside * tokens;
      measured.milliseconds += milliseconds;
      measured.ended += 1;
      measured.at = this.#decisions;
      if (firstTokenMs !== undefined) {
        measured.firstTokenMs += firstTokenMs;
        measured.firstTokens += 1;
      }
    }
    this.#ended += 1;
    if (this.#ended >= Math.max(MIN_ENDED, this.slots) && now - this.#since >= MIN_PERIOD_MS)
      this.#decide(now);
  }

  #decide(now: Milliseconds): void {
    this.hold(this.#used, now);
    const saturation = this.#saturatedMs / (now - this.#since);
    const waiting = this.#reports === 0 ? 0 : this.#waiting / this.#reports;
    this.#decisions += 1;
    if (waiting > HARMLESS_WAITING + HARMLESS_WAITING_PART * this.slots) this.#cut(waiting);
    else if (saturation >= MIN_SATURATION && this.#knows(this.#index)) this.#climb();
    for (const measured of this.#measured) forget(measured);
    this.#since = now;
    this.#ended = 0;
    this.#saturatedMs = 0;
    this.#waiting = 0;
    this.#reports = 0;
    this.#kvCacheUsed = 0;
  }

  /** What waits at the server may as well wait here. */
  #cut(waiting: number): void {
    this.#isDoubling = false;
    const less = this.slots - Math.min(waiting, this.slots * MAX_CUT);
    const index = Math.min(this.#indexOf(less), this.#index - 1);
    this.#move(Math.max(0, index));
    this.#hold();
  }

  #climb(): void {
    const throughput = this.#throughput(this.#index);
    if (this.#isDoubling) {
      if (throughput >= this.#before * WORTH_DOUBLING && this.#mayRaise()) {
        this.#before = throughput;
        this.#move(this.#index + DOUBLE);
        return;
      }
      this.#isDoubling = false;
    }
    const [up, down] = [this.#index + 1, this.#index - 1];
    if (this.#mayRaise() && !this.#knows(up)) this.#move(up);
    else if (this.#mayRaise() && this.#throughput(up) > throughput * (1 + NOTICEABLE) && !this.#isLate(up))
      this.#move(up);
    else if (down >= 0 && !this.#knows(down)) this.#move(down);
    else if (
      down >= 0 &&
      (this.#throughput(down) > throughput * (1 - NOTICEABLE) || this.#isLate(this.#index))
    ) {
      this.#move(down);
      this.#hold();
    } else this.#rest();
  }

  #rest(): void {
    if (this.#decisions < this.#holdUntil) return;
    this.#hold();
  }

  #hold(): void {
    this.#holdUntil = this.#decisions + this.#recheckAfter;
    this.#recheckAfter = Math.min(RECHECK_AFTER.last, this.#recheckAfter * 2);
  }

  #mayRaise(): boolean {
    const isHeld = this.#decisions < this.#holdUntil;
    return !isHeld && this.#kvCacheUsed < FULL_KV_CACHE && this.#index + 1 < this.#scale.length;
  }

  #move(index: number): void {
    this.#index = Math.min(this.#scale.length - 1, index);
  }

  #knows(index: number): boolean {
    const measured = this.#measured[index];
    const slots = this.#scale[index] ?? 0;
    if (measured === undefined) return false;
    return this.#decisions - measured.at <= this.#recheckAfter && measured.ended >= Math.min(8, slots / 2);
  }

  #throughput(index: number): number {
    const { tokens = 0, milliseconds = 0 } = this.#measured[index] ?? {};
    return milliseconds === 0 ? 0 : tokens / milliseconds;
  }

  #isLate(index: number): boolean {
    const [late, early] = [this.#measured[index], this.#measured[index - 1]];
    if (!late?.firstTokens || !early?.firstTokens) return false;
    const ratio = late.firstTokenMs / late.firstTokens / (early.firstTokenMs / early.firstTokens);
    const gain = this.#throughput(index) / this.#throughput(index - 1) - 1;
    return ratio > LATE_FIRST_TOKEN && gain < 4 * NOTICEABLE;
  }

  /** The nearest step, by proportion. */
  #indexOf(slots: number): number {
    let index = 0;
    while (
      index + 1 < this.#scale.length &&
      slots * slots > (this.#scale[index] ?? 1) * (this.#scale[index + 1] ?? 1)
    )
      index += 1;
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

function forget(measured: Measured): void {
  measured.tokens *= MEMORY;
  measured.milliseconds *= MEMORY;
  measured.ended *= MEMORY;
  measured.firstTokenMs *= MEMORY;
  measured.firstTokens *= MEMORY;
}
