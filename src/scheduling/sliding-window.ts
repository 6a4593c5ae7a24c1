/**
 * An exact sliding window: per key, never more than `limit` admissions in any `windowMs`. It keeps a ring of timestamps per key, grown as
 * needed up to the limit, for at most `maxKeys` keys. Pure: the time is an argument.
 * Invariant: keys are in the order of their last admission, including those taken back, so that an idle key is dropped at the latest when
 * its last admission would have left the window. A key that is not idle is never evicted, which would reset its count; beyond
 * `maxKeys`, new keys share one overflow window.
 */
import type { Milliseconds } from '../core/clock.ts';
import { LinkedList, type ListNode } from './linked-list.ts';

interface SlidingWindowOptions {
  readonly limit: number;
  readonly windowMs: Milliseconds;
  readonly maxKeys: number;
}

/** The state of a key's window at one moment. */
export interface WindowState {
  readonly limit: number;
  /** How many more would be admitted right now. */
  readonly remaining: number;
  /** Milliseconds until the next request would be admitted; 0 if one would be now. */
  readonly retryInMs: Milliseconds;
}

interface WindowVerdict extends WindowState {
  /** The counted admission; undefined for a request that was refused. */
  readonly admission: Admission | undefined;
}

/** One counted request, which can be taken back if it turns out not to count. */
export interface Admission {
  readonly key: string;
  readonly at: Milliseconds;
  /** Whether it is counted in the window that keys beyond `maxKeys` share. */
  readonly overflowed: boolean;
}

interface KeyWindow extends ListNode<KeyWindow> {
  readonly key: string;
  admissions: Float64Array;
  /** Index of the oldest admission in the ring. */
  first: number;
  count: number;
}

const INITIAL_RING = 4;
/** Idle keys dropped per check: more than one is added, so the sweep always catches up. */
const SWEPT_PER_CHECK = 2;

export class SlidingWindow {
  #options: SlidingWindowOptions;
  readonly #windows = new Map<string, KeyWindow>();
  readonly #byLastAdmission = new LinkedList<KeyWindow>();
  readonly #overflow: KeyWindow = newWindow('');
  #latest = 0;

  constructor(options: SlidingWindowOptions) {
    this.#options = options;
  }

  /** From now on; what was admitted stays counted. */
  setBounds({ limit, windowMs }: Omit<SlidingWindowOptions, 'maxKeys'>): void {
    this.#options = { limit, windowMs, maxKeys: this.#options.maxKeys };
  }

  get keys(): number {
    return this.#windows.size;
  }

  /** Admits and counts the request, or refuses it; a refused one is not counted and does not extend the wait. */
  check(key: string, now: Milliseconds): WindowVerdict {
    this.#advance(now);
    this.#sweep();
    const window = this.#windows.get(key) ?? this.#open(key);
    this.#expire(window);
    const admitted = window.count < this.#options.limit;
    if (admitted) this.#admit(window);
    const overflowed = window === this.#overflow;
    const admission = admitted ? { key, at: this.#latest, overflowed } : undefined;
    return { admission, ...this.#stateOf(window) };
  }

  /** As `check`, without counting. */
  peek(key: string, now: Milliseconds): WindowState {
    this.#advance(now);
    const window = this.#windows.get(key) ?? (this.#isFull ? this.#overflow : undefined);
    if (window !== undefined) this.#expire(window);
    return this.#stateOf(window);
  }

  /**
   * Takes a counted request out again, as if it had never come. To be called once for an admission; nothing happens where
   * it has left the window.
   */
  giveBack({ key, at, overflowed }: Admission, now: Milliseconds): void {
    this.#advance(now);
    const window = overflowed ? this.#overflow : this.#windows.get(key);
    if (window === undefined) return;
    this.#expire(window);
    removeAdmission(window, at);
    if (window.count > 0 || overflowed) return;
    this.#byLastAdmission.remove(window);
    this.#windows.delete(key);
  }

  #advance(now: Milliseconds): void {
    this.#latest = Math.max(this.#latest, now);
  }

  get #isFull(): boolean {
    return this.#windows.size >= this.#options.maxKeys;
  }

  #stateOf(window: KeyWindow | undefined): WindowState {
    const { limit, windowMs } = this.#options;
    const remaining = limit - (window?.count ?? 0);
    if (window === undefined || remaining > 0) return { limit, remaining, retryInMs: 0 };
    // More than the limit are counted where it has been lowered.
    const decisive = (window.first - remaining) % window.admissions.length;
    const admittedAt = window.admissions[decisive] ?? this.#latest;
    return { limit, remaining: 0, retryInMs: Math.max(0, windowMs - (this.#latest - admittedAt)) };
  }

  #open(key: string): KeyWindow {
    if (this.#isFull) return this.#overflow;
    const window = newWindow(key);
    this.#windows.set(key, window);
    return window;
  }

  #expire(window: KeyWindow): void {
    const expired = this.#latest - this.#options.windowMs;
    while (window.count > 0 && (window.admissions[window.first] ?? 0) <= expired) {
      window.first = (window.first + 1) % window.admissions.length;
      window.count -= 1;
    }
  }

  #admit(window: KeyWindow): void {
    if (window.count === window.admissions.length) grow(window, this.#options.limit);
    window.admissions[(window.first + window.count) % window.admissions.length] = this.#latest;
    window.count += 1;
    if (window === this.#overflow) return;
    this.#byLastAdmission.remove(window);
    this.#byLastAdmission.append(window);
  }

  #sweep(): void {
    for (let swept = 0; swept < SWEPT_PER_CHECK; swept += 1) {
      const window = this.#byLastAdmission.head;
      if (!window) return;
      this.#expire(window);
      if (window.count > 0) return;
      this.#byLastAdmission.remove(window);
      this.#windows.delete(window.key);
    }
  }
}

function newWindow(key: string): KeyWindow {
  return {
    key,
    admissions: new Float64Array(INITIAL_RING),
    first: 0,
    count: 0,
    previous: undefined,
    next: undefined,
    list: undefined,
  };
}

function grow(window: KeyWindow, limit: number): void {
  const size = window.admissions.length;
  const grown = new Float64Array(Math.min(limit, size * 2) > size ? Math.min(limit, size * 2) : size + 1);
  for (let index = 0; index < window.count; index += 1) {
    grown[index] = window.admissions[(window.first + index) % size] ?? 0;
  }
  window.admissions = grown;
  window.first = 0;
}

/** The newest first: what is given back was admitted a moment ago. Admissions of one moment are alike. */
function removeAdmission(window: KeyWindow, at: Milliseconds): void {
  const { admissions, first } = window;
  const place = (index: number) => (first + index) % admissions.length;
  let index = window.count - 1;
  while (index >= 0 && (admissions[place(index)] ?? 0) > at) index -= 1;
  if (index < 0 || admissions[place(index)] !== at) return;
  for (; index < window.count - 1; index += 1) admissions[place(index)] = admissions[place(index + 1)] ?? 0;
  window.count -= 1;
}
