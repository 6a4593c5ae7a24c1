/**
 * Makes the snapshots of GET /live. Readers that see the same requests as often share one snapshot. Nothing is counted or kept while
 * nobody looks, but for a moment after the last reader has gone. What is done now may have to be asked of other processes: a snapshot is
 * made when they have answered. Invariant: a reader gets one snapshot when it comes, then the next ones in order, until it leaves or the
 * feed ends.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import {
  type LiveFeed,
  type LiveReader,
  type LiveState,
  type LiveViewer,
  ownerOf,
} from '../core/live-feed.ts';
import { LIVE_LIMITS, type LiveReceipt, type LiveSnapshot, type LiveSums } from '../core/live-snapshot.ts';
import type { LiveEnded } from '../core/live-tally.ts';
import type { Objectives } from '../core/objectives.ts';
import { concernsModel, type RequestRecord } from '../core/request-trace.ts';
import { ClientNames } from './client-names.ts';
import { receiptOf } from './live-receipt.ts';
import { LiveSumsWindow } from './live-sums.ts';

interface LiveFeedOptions {
  readonly clock: Clock;
  readonly version: string;
  /** Gives it to `done`, once, in this turn or later. `othersTookMs`: what it has cost other processes. */
  readonly state: (viewer: LiveViewer, done: (state: LiveState, othersTookMs?: Milliseconds) => void) => void;
  /** From now on somebody looks, or nobody any more. */
  readonly onListen?: (listens: boolean) => void;
  /** Read with every request: a reload may change them. */
  readonly settings: { readonly objectives: Objectives };
}

/** All of them together, and those that see only their own requests: the rest is kept for those who see all. */
const MAX_READERS = 32;
const MAX_OWN_READERS = 24;
/** Of one key or client that sees only its own requests: it cannot keep the others out. */
const MAX_READERS_OF_OWNER = 4;
/** Other intervals are rounded up to one of these: those who see the same share their snapshots. */
const PACES: readonly Milliseconds[] = [100, 250, 500, 1000, 2000, 5000];
const SLOWEST_PACE: Milliseconds = 5000;
/** While requests run, or the sums change, a snapshot at least so often. */
const REFRESH_MS: Milliseconds = 1000;
const HEARTBEAT_MS: Milliseconds = 5000;
/** A page that comes back after it lost its connection finds its sums again. */
const LINGER_MS: Milliseconds = 15_000;
/** Snapshots that take long are made less often: at most one part in so many of the time goes into those of an audience. */
const COST_SHARE = 100;
/** And one in so many into those of all audiences. */
const COST_SHARE_OF_ALL = 20;
/** One that took long, perhaps only because something else ran in between, is paid over about so many. */
const COST_MEMORY = 8;

/** What a snapshot had, as it was written, but for its head and its receipts. */
interface Written {
  readonly at: Milliseconds;
  readonly state: string;
  /** Without the window's length, which says nothing new. */
  readonly sums: string;
}

const NOTHING_WRITTEN: Written = { at: 0, state: '', sums: '' };

/** The readers that get the same snapshots. */
interface Audience {
  readonly owner: string | undefined;
  readonly paceMs: Milliseconds;
  /** False of those that wait for their first snapshot. */
  readonly readers: Map<LiveReader, boolean>;
  sequence: number;
  /** Ended since the last snapshot; the newest `LIVE_LIMITS.ended`. Made when they are sent. */
  ended: (() => LiveReceipt)[];
  endedOmitted: number;
  sent: Written;
  heartbeatAt: Milliseconds;
  /** One of its readers has its first snapshot. */
  isRunning: boolean;
  /** What one takes to be made and written: the mean, in which the newer ones count more. */
  costMs: Milliseconds;
  /** Undefined while the next snapshot is being made, and before the first. */
  timer: Timer | undefined;
}

type Ended = Pick<Audience, 'ended' | 'endedOmitted'>;

const NOTHING_ENDED: Ended = { ended: [], endedOmitted: 0 };

interface Parts {
  readonly now: Milliseconds;
  readonly sums: LiveSums;
  readonly state: LiveState;
}

export class SnapshotFeed implements LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #names = new ClientNames();
  readonly #audiences = new Map<string, Audience>();
  /** Undefined while nobody looks. */
  #sums: LiveSumsWindow | undefined;
  #linger: Timer | undefined;
  #isClosed = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#sums = undefined;
    this.#linger = undefined;
  }

  requestEnded(record: RequestRecord): void {
    if (this.#sums === undefined) return;
    this.#sums.requestEnded(record);
    if (this.#audiences.size === 0 || !concernsModel(record.trace)) return;
    this.#show(ownerOf(record.trace), () => {
      const { clock } = this.#options;
      const offsetMs = clock.wallNow() - clock.now();
      return receiptOf(record, { offsetMs, clientName: this.#names.nameOf });
    });
  }

  /** In another process. */
  othersEnded({ receipts, omitted, tally }: LiveEnded): void {
    this.#sums?.add(tally, this.#options.clock.now());
    for (const { owner, receipt } of receipts) this.#show(owner, () => receipt);
    for (const [owner, count] of omitted)
      for (const audience of this.#audiences.values())
        if (sees(audience, owner)) audience.endedOmitted += count;
  }

  tokenGap(gapMs: Milliseconds): void {
    this.#sums?.tokenGap(gapMs);
  }

  snapshot(owner: string | undefined): Promise<LiveSnapshot> {
    return new Promise((resolve) => {
      this.#read(owner, ({ sums, state }) =>
        resolve({ ...this.#head(owner, 0), sums, ...state, ...receiptsOf(NOTHING_ENDED) }),
      );
    });
  }

  watch(
    { owner, intervalMs }: { readonly owner: string | undefined; readonly intervalMs: Milliseconds },
    reader: LiveReader,
  ): () => void {
    this.#refuseTooMany(owner);
    this.#listen();
    const paceMs = PACES.find((pace) => pace >= intervalMs) ?? SLOWEST_PACE;
    const key = JSON.stringify([owner, paceMs]);
    const audience = this.#audiences.get(key) ?? this.#newAudience(owner, paceMs);
    this.#audiences.set(key, audience);
    audience.readers.set(reader, false);
    this.#write(audience, (first) => {
      if (!audience.readers.has(reader)) return;
      audience.readers.set(reader, true);
      if (!audience.isRunning) {
        audience.isRunning = true;
        audience.sent = first.written;
        audience.costMs = first.costMs();
        this.#schedule(audience, paceMs);
      }
      reader.snapshot(first.text(NOTHING_ENDED));
    });
    return () => {
      if (!audience.readers.delete(reader) || audience.readers.size > 0) return;
      audience.timer?.cancel();
      this.#audiences.delete(key);
      if (this.#audiences.size === 0) this.#stopListeningSoon();
    };
  }

  disconnectAll(): void {
    const readers = [...this.#audiences.values()].flatMap((audience) => [...audience.readers.keys()]);
    for (const reader of readers) reader.end();
  }

  close(): void {
    this.#isClosed = true;
    this.#linger?.cancel();
    this.disconnectAll();
  }

  #refuseTooMany(owner: string | undefined): void {
    if (this.#isClosed)
      throw new ServingError('draining', { message: 'The server is shutting down.', retryAfterSeconds: 1 });
    let all = 0;
    let own = 0;
    let ofOwner = 0;
    for (const audience of this.#audiences.values()) {
      const { size } = audience.readers;
      all += size;
      if (audience.owner === undefined) continue;
      own += size;
      if (audience.owner === owner) ofOwner += size;
    }
    if (owner !== undefined && ofOwner >= MAX_READERS_OF_OWNER)
      throw busy(`This client reads /live ${ofOwner} times already, which is the most. Close one.`);
    if (all >= MAX_READERS || (owner !== undefined && own >= MAX_OWN_READERS))
      throw busy('Too many programs and pages read /live at the moment. Close one, or ask again later.');
  }

  #listen(): void {
    this.#linger?.cancel();
    this.#linger = undefined;
    if (this.#sums !== undefined) return;
    this.#sums = new LiveSumsWindow(this.#options.clock.now(), this.#options.settings);
    this.#options.onListen?.(true);
  }

  #show(owner: string, receipt: () => LiveReceipt): void {
    for (const audience of this.#audiences.values()) {
      if (!sees(audience, owner)) continue;
      audience.ended.push(receipt);
      if (audience.ended.length <= LIVE_LIMITS.ended) continue;
      audience.ended.shift();
      audience.endedOmitted += 1;
    }
  }

  #stopListeningSoon(): void {
    this.#linger = this.#options.clock.schedule(LINGER_MS, () => {
      this.#linger = undefined;
      this.#sums = undefined;
      this.#options.onListen?.(false);
    });
  }

  #newAudience(owner: string | undefined, paceMs: Milliseconds): Audience {
    const now = this.#options.clock.now();
    return {
      owner,
      paceMs,
      readers: new Map(),
      sequence: 0,
      ended: [],
      endedOmitted: 0,
      sent: NOTHING_WRITTEN,
      heartbeatAt: now,
      isRunning: false,
      costMs: 0,
      timer: undefined,
    };
  }

  #schedule(audience: Audience, delayMs: Milliseconds): void {
    audience.timer = this.#options.clock.schedule(delayMs, () => this.#tick(audience));
  }

  #tick(audience: Audience): void {
    audience.timer = undefined;
    this.#write(audience, (snapshot) => {
      // All have left meanwhile; others may have come.
      if (audience.readers.size === 0) return;
      this.#deliver(audience, snapshot);
      if (audience.readers.size === 0) return;
      const share = Math.max(COST_SHARE, COST_SHARE_OF_ALL * this.#audiences.size);
      audience.costMs += (snapshot.costMs() - audience.costMs) / COST_MEMORY;
      this.#schedule(audience, Math.max(audience.paceMs, share * audience.costMs));
    });
  }

  #deliver(audience: Audience, { now, isBusy, written, text }: Snapshot): void {
    const { sent } = audience;
    const isChanged = written.state !== sent.state || audience.ended.length > 0;
    const isRefreshed = isBusy || written.sums !== sent.sums;
    if (isChanged || (isRefreshed && now - sent.at >= REFRESH_MS)) {
      audience.sequence += 1;
      const { ended, endedOmitted } = audience;
      audience.ended = [];
      audience.endedOmitted = 0;
      audience.sent = written;
      audience.heartbeatAt = now;
      const event = text({ ended, endedOmitted });
      for (const reader of begun(audience)) reader.snapshot(event);
    } else if (now - audience.heartbeatAt >= HEARTBEAT_MS) {
      audience.heartbeatAt = now;
      for (const reader of begun(audience)) reader.heartbeat();
    }
  }

  #write(audience: Audience, done: (snapshot: Snapshot) => void): void {
    this.#read(audience.owner, ({ now, sums, state }, costMs) => {
      const { window_seconds, ...counts } = sums;
      const written = { at: now, state: JSON.stringify(state), sums: JSON.stringify(counts) };
      done({
        now,
        isBusy: state.running.length > 0,
        written,
        costMs,
        text: (ended) => {
          const head = JSON.stringify(this.#head(audience.owner, audience.sequence)).slice(0, -1);
          const all = `"sums":{"window_seconds":${window_seconds},${written.sums.slice(1)}`;
          const receipts = JSON.stringify(receiptsOf(ended)).slice(1);
          return `${head},${all},${written.state.slice(1, -1)},${receipts}`;
        },
      });
    });
  }

  #head(
    owner: string | undefined,
    sequence: number,
  ): Pick<LiveSnapshot, 'sequence' | 'at_ms' | 'version' | 'scope'> {
    const { clock, version } = this.#options;
    const scope = owner === undefined ? 'all' : 'own';
    return { sequence, at_ms: clock.wallNow(), version, scope };
  }

  /** `costMs`: what it has taken by then, without the time that others were waited for. */
  #read(owner: string | undefined, done: (parts: Parts, costMs: () => Milliseconds) => void): void {
    const { clock, state, settings } = this.#options;
    const askedAt = clock.now();
    let waitsSince: Milliseconds | undefined;
    state({ owner, clientName: this.#names.nameOf }, (read, othersTookMs = 0) => {
      const now = clock.now();
      const waitedMs = waitsSince === undefined ? 0 : now - waitsSince;
      const sums = (this.#sums ?? new LiveSumsWindow(now, settings)).at(now);
      done({ now, sums, state: read }, () => clock.now() - askedAt - waitedMs + othersTookMs);
    });
    waitsSince = clock.now();
  }
}

interface Snapshot {
  readonly now: Milliseconds;
  readonly isBusy: boolean;
  readonly written: Written;
  /** So far. */
  readonly costMs: () => Milliseconds;
  /** Writes the head too, which is another one in each snapshot. */
  readonly text: (ended: Ended) => string;
}

function receiptsOf({ ended, endedOmitted }: Ended): Pick<LiveSnapshot, 'ended' | 'ended_omitted'> {
  const receipts = ended.map((receipt) => receipt());
  // Those of several processes come one process after the other.
  receipts.sort((one, other) => one.ended_at_ms - other.ended_at_ms);
  return { ended: receipts, ended_omitted: endedOmitted };
}

function sees({ owner }: Pick<Audience, 'owner'>, other: string): boolean {
  return owner === undefined || owner === other;
}

/** A copy: one that takes nothing more may leave meanwhile. */
function begun({ readers }: Audience): readonly LiveReader[] {
  return [...readers].flatMap(([reader, hasBegun]) => (hasBegun ? reader : []));
}

function busy(message: string): ServingError {
  return new ServingError('server_busy', { message, retryAfterSeconds: HEARTBEAT_MS / 1000 });
}
