/**
 * The page's one connection to GET /live, and what is made of it. It is open only while somebody looks: a view that is left and a tab
 * that is hidden close it, so that they cost the server nothing. What was seen stays until the page is left, or the key is another one.
 */
import type { LiveReceipt, LiveSnapshot } from '../../src/core/live-snapshot.ts';
import type { ServerEvent } from '../api/event-parser.ts';
import { followFeed } from '../api/event-stream.ts';
import type { ApiFailure } from '../api/failure.ts';
import { adminKey, apiKey, keyFor } from '../state/api-key.ts';
import { createStore } from '../state/store.ts';
import { Bars, KEPT_MS } from './bars.ts';
import { Series } from './series.ts';
import { ServerClock } from './server-clock.ts';

/** Of requests that ended, for the table. */
export const KEPT_RECEIPTS = 200;
const MAX_GAPS = 50;

export type FeedState =
  | { readonly kind: 'connecting' | 'live' | 'hidden' }
  /** `retryAt`: by performance.now(); undefined: it is not tried again. */
  | { readonly kind: 'lost'; readonly failure: ApiFailure; readonly retryAt: number | undefined };

export interface Gap {
  readonly from: number;
  /** Null: it goes on. */
  to: number | null;
}

export class LiveFeed {
  bars = new Bars();
  series = new Series();
  clock = new ServerClock();
  readonly state = createStore<FeedState>({ kind: 'connecting' });
  /** Undefined: none came yet, or what was seen is forgotten. */
  readonly snapshot = createStore<LiveSnapshot | undefined>(undefined);
  /** The newest first. */
  readonly ended = createStore<readonly LiveReceipt[]>([]);
  gaps: Gap[] = [];
  /** When the first snapshot was made, by the server's clock. */
  since: number | undefined;
  /** Snapshots that did not come because this page, or its connection, was too slow. */
  missed = 0;
  /** Of the snapshot before, in the same stream. */
  #sequence: number | undefined;
  #users = 0;
  /** That all of it was seen with. */
  #key = keyFor('admin');
  #stop: AbortController | undefined;

  constructor() {
    // Also while nobody looks: another key must not find what this one saw.
    for (const key of [apiKey, adminKey]) key.subscribe(this.#onKey);
  }

  /** Returns how to stop. */
  use(): () => void {
    this.#users += 1;
    if (this.#users === 1) {
      document.addEventListener('visibilitychange', this.#onVisibility);
      this.#onVisibility();
    }
    return () => {
      this.#users -= 1;
      if (this.#users > 0) return;
      document.removeEventListener('visibilitychange', this.#onVisibility);
      this.#close();
    };
  }

  /** Asks now, without waiting for the next try. */
  retry(): void {
    this.#close();
    this.#open();
  }

  readonly #onVisibility = (): void => {
    if (document.visibilityState === 'hidden') {
      this.#close();
      this.state.set({ kind: 'hidden' });
    } else this.#open();
  };

  /** Another key sees other requests. */
  readonly #onKey = (): void => {
    const key = keyFor('admin');
    if (key === this.#key) return;
    this.#key = key;
    const isOpen = this.#stop !== undefined;
    this.#close();
    this.#forget();
    if (isOpen) this.#open();
  };

  #open(): void {
    if (this.#stop !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    this.state.set({ kind: 'connecting' });
    const ifOpen =
      <Values extends readonly unknown[]>(act: (...values: Values) => void) =>
      (...values: Values) => {
        if (!stop.signal.aborted) act(...values);
      };
    void followFeed('live', stop.signal, {
      onEvents: ifOpen((events) => this.#take(events)),
      onState: ifOpen((failure, retryInMs) => this.#changed(failure, retryInMs)),
    });
  }

  #close(): void {
    if (this.#stop === undefined) return;
    this.#stop.abort();
    this.#stop = undefined;
    this.#interrupted();
  }

  #changed(failure: ApiFailure | undefined, retryInMs: number | undefined): void {
    // That it is live is known when the first snapshot is there.
    if (failure === undefined) return;
    this.#interrupted();
    if (failure.status === 401 || failure.status === 403) this.#forget();
    const retryAt = retryInMs === undefined ? undefined : performance.now() + retryInMs;
    this.state.set({ kind: 'lost', failure, retryAt });
  }

  #interrupted(): void {
    this.#sequence = undefined;
    this.bars.interrupted();
    this.series.interrupted();
    const last = this.snapshot.get();
    if (last === undefined || this.gaps.at(-1)?.to === null) return;
    this.gaps.push({ from: this.clock.now(performance.now()), to: null });
    if (this.gaps.length > MAX_GAPS) this.gaps.shift();
  }

  #forget(): void {
    this.bars = new Bars();
    this.series = new Series();
    this.clock = new ServerClock();
    this.gaps = [];
    this.since = undefined;
    this.missed = 0;
    this.#sequence = undefined;
    this.ended.set([]);
    this.snapshot.set(undefined);
  }

  #take(events: readonly ServerEvent[]): void {
    let newest: LiveSnapshot | undefined;
    let ended: readonly LiveReceipt[] = this.ended.get();
    for (const { name, data } of events) {
      if (name !== 'snapshot') continue;
      const snapshot = JSON.parse(data) as LiveSnapshot;
      this.#apply(snapshot);
      const answered = snapshot.ended.filter(({ model }) => model !== null);
      if (answered.length > 0) ended = [...answered.reverse(), ...ended].slice(0, KEPT_RECEIPTS);
      newest = snapshot;
    }
    if (newest === undefined) return;
    this.ended.set(ended);
    this.snapshot.set(newest);
    if (this.state.get().kind !== 'live') this.state.set({ kind: 'live' });
  }

  #apply(snapshot: LiveSnapshot): void {
    if (this.#sequence !== undefined) this.missed += Math.max(0, snapshot.sequence - this.#sequence - 1);
    this.#sequence = snapshot.sequence;
    this.since ??= snapshot.at_ms;
    this.clock.heard(snapshot.at_ms, performance.now());
    const gap = this.gaps.at(-1);
    if (gap?.to === null) gap.to = Math.max(gap.from, snapshot.at_ms);
    while ((this.gaps[0]?.to ?? Number.POSITIVE_INFINITY) < snapshot.at_ms - KEPT_MS) this.gaps.shift();
    this.bars.apply(snapshot);
    this.series.push(snapshot);
  }
}

export const feed = new LiveFeed();
