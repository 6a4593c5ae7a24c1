/** What the person has chosen in the Live view. */
import type { LiveReceipt, LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { createStore } from '../state/store.ts';
import { type Bar, KEPT_MS } from './bars.ts';
import { feed } from './feed.ts';

export const RANGES = [
  { ms: 15_000, label: '15 s' },
  { ms: 60_000, label: '1 min' },
  { ms: 300_000, label: '5 min' },
] as const;

export const range = createStore<number>(RANGES[0].ms);

/** A picture that stands still. */
export interface Pause {
  /** By the server's clock: the right side of the lanes. */
  readonly edge: number;
  /** Where it stopped: the latest that the right side may be. */
  readonly stoppedAt: number;
  readonly snapshot: LiveSnapshot;
  readonly ended: readonly LiveReceipt[];
}

export const pause = createStore<Pause | undefined>(undefined);

export function togglePause(): void {
  const snapshot = feed.snapshot.get();
  if (pause.get() !== undefined) {
    pause.set(undefined);
    feed.bars.heldFrom = null;
  } else if (snapshot !== undefined) {
    const edge = edgeNow();
    pause.set({ edge, stoppedAt: edge, snapshot, ended: feed.ended.get() });
    feed.bars.heldFrom = edge - KEPT_MS;
  }
}

/** Milliseconds before the place where the picture stopped. */
export function lookBack(ms: number): void {
  pause.update((paused) => paused && { ...paused, edge: paused.stoppedAt - ms });
}

/** How far back that can be. */
export function mostBack({ stoppedAt }: Pause): number {
  return Math.max(0, Math.min(KEPT_MS, stoppedAt - (feed.since ?? stoppedAt)));
}

/** Behind the server's clock, so that what is drawn has been reported. */
const BEHIND_MS = 350;

export function edgeNow(): number {
  return pause.get()?.edge ?? feed.clock.now(performance.now()) - BEHIND_MS;
}

/** What chose a request: a row of a table, a pointer in the lanes, or the arrow keys there. */
export type ChosenFrom = HTMLElement | 'pointer' | 'keys';

/** The request whose receipt is shown: one of its bars, or its receipt alone. */
export type Selection = ({ readonly bar: Bar } | { readonly receipt: LiveReceipt }) & {
  readonly from: ChosenFrom;
};

export const selection = createStore<Selection | undefined>(undefined);

// It shows, and a picture that stands still holds, what another key may not see.
feed.snapshot.subscribe(() => {
  if (feed.snapshot.get() !== undefined) return;
  pause.set(undefined);
  selection.set(undefined);
});

export function selectBar(bar: Bar | undefined, from: ChosenFrom): void {
  selection.set(bar && { bar, from });
}

/** The bar of its last try, so that it is marked in the lanes too; where there is none any more, the receipt. */
export function selectReceipt(receipt: LiveReceipt, from: ChosenFrom): void {
  const bar = feed.bars.ofRequest(receipt.request_id).findLast((one) => one.receipt === receipt);
  selection.set(bar === undefined ? { receipt, from } : { bar, from });
}
