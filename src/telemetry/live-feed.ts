/**
 * Makes the snapshots of GET /live. Readers that see the same requests as often share one snapshot. Nothing is counted or kept while
 * nobody looks, but for a moment after the last reader has gone. Invariant: a reader gets one snapshot when it comes, then the next ones
 * in order, until it leaves or the feed ends.
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
import { LIVE_LIMITS, type LiveSnapshot, type LiveSums } from '../core/live-snapshot.ts';
import type { Objectives } from '../core/objectives.ts';
import { concernsModel, type RequestRecord } from '../core/request-trace.ts';
import { ClientNames } from './client-names.ts';
import { receiptOf } from './live-receipt.ts';
import { LiveSumsWindow } from './live-sums.ts';

interface LiveFeedOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly state: (viewer: LiveViewer) => LiveState;
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
  readonly readers: Set<LiveReader>;
  sequence: number;
  /** Ended since the last snapshot; the newest `LIVE_LIMITS.ended`. */
  ended: RequestRecord[];
  endedOmitted: number;
  sent: Written;
  heartbeatAt: Milliseconds;
  /** What one takes to be made and written: the mean, in which the newer ones count more. */
  costMs: Milliseconds;
  timer: Timer | undefined;
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
    const owner = ownerOf(record.trace);
    for (const audience of this.#audiences.values()) {
      if (audience.owner !== undefined && audience.owner !== owner) continue;
      audience.ended.push(record);
      if (audience.ended.length <= LIVE_LIMITS.ended) continue;
      audience.ended.shift();
      audience.endedOmitted += 1;
    }
  }

  tokenGap(gapMs: Milliseconds): void {
    this.#sums?.tokenGap(gapMs);
  }

  snapshot(owner: string | undefined): LiveSnapshot {
    const now = this.#options.clock.now();
    const { sums, state, receipts } = this.#parts(owner, { now, ended: [], endedOmitted: 0 });
    return { ...this.#head(owner, 0), sums, ...state, ...receipts };
  }

  watch(
    { owner, intervalMs }: { readonly owner: string | undefined; readonly intervalMs: Milliseconds },
    reader: LiveReader,
  ): () => void {
    this.#refuseTooMany(owner);
    this.#listen();
    const paceMs = PACES.find((pace) => pace >= intervalMs) ?? SLOWEST_PACE;
    const key = JSON.stringify([owner, paceMs]);
    const known = this.#audiences.get(key);
    const audience = known ?? this.#newAudience(owner, paceMs);
    const first = this.#write(audience, { ended: [], endedOmitted: 0 });
    if (known === undefined) {
      audience.sent = first.written;
      audience.costMs = this.#options.clock.now() - first.now;
      this.#audiences.set(key, audience);
      this.#schedule(audience, paceMs);
    }
    audience.readers.add(reader);
    reader.snapshot(first.text());
    return () => {
      if (!audience.readers.delete(reader) || audience.readers.size > 0) return;
      audience.timer?.cancel();
      this.#audiences.delete(key);
      if (this.#audiences.size === 0) this.#stopListeningSoon();
    };
  }

  disconnectAll(): void {
    const readers = [...this.#audiences.values()].flatMap((audience) => [...audience.readers]);
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
    this.#sums ??= new LiveSumsWindow(this.#options.clock.now(), this.#options.settings);
  }

  #stopListeningSoon(): void {
    this.#linger = this.#options.clock.schedule(LINGER_MS, () => {
      this.#linger = undefined;
      this.#sums = undefined;
    });
  }

  #newAudience(owner: string | undefined, paceMs: Milliseconds): Audience {
    const now = this.#options.clock.now();
    return {
      owner,
      paceMs,
      readers: new Set(),
      sequence: 0,
      ended: [],
      endedOmitted: 0,
      sent: NOTHING_WRITTEN,
      heartbeatAt: now,
      costMs: 0,
      timer: undefined,
    };
  }

  #schedule(audience: Audience, delayMs: Milliseconds): void {
    audience.timer = this.#options.clock.schedule(delayMs, () => this.#tick(audience));
  }

  #tick(audience: Audience): void {
    const { clock } = this.#options;
    const { sent } = audience;
    const { now, isBusy, written, text } = this.#write(audience, audience);
    const isChanged = written.state !== sent.state || audience.ended.length > 0;
    const isRefreshed = isBusy || written.sums !== sent.sums;
    if (isChanged || (isRefreshed && now - sent.at >= REFRESH_MS)) {
      audience.sequence += 1;
      audience.ended = [];
      audience.endedOmitted = 0;
      audience.sent = written;
      audience.heartbeatAt = now;
      const event = text();
      for (const reader of audience.readers) reader.snapshot(event);
    } else if (now - audience.heartbeatAt >= HEARTBEAT_MS) {
      audience.heartbeatAt = now;
      for (const reader of audience.readers) reader.heartbeat();
    }
    if (audience.readers.size === 0) return;
    const share = Math.max(COST_SHARE, COST_SHARE_OF_ALL * this.#audiences.size);
    const costMs = clock.now() - now;
    audience.costMs += (costMs - audience.costMs) / COST_MEMORY;
    this.#schedule(audience, Math.max(audience.paceMs, share * audience.costMs));
  }

  /** `text` writes the head too, which is another one in each snapshot. */
  #write(
    audience: Audience,
    ended: Pick<Audience, 'ended' | 'endedOmitted'>,
  ): {
    readonly now: Milliseconds;
    readonly isBusy: boolean;
    readonly written: Written;
    readonly text: () => string;
  } {
    const now = this.#options.clock.now();
    const { sums, state, receipts } = this.#parts(audience.owner, { now, ...ended });
    const { window_seconds, ...counts } = sums;
    const written = { at: now, state: JSON.stringify(state), sums: JSON.stringify(counts) };
    return {
      now,
      isBusy: state.running.length > 0,
      written,
      text: () => {
        const head = JSON.stringify(this.#head(audience.owner, audience.sequence)).slice(0, -1);
        const all = `"sums":{"window_seconds":${window_seconds},${written.sums.slice(1)}`;
        return `${head},${all},${written.state.slice(1, -1)},${JSON.stringify(receipts).slice(1)}`;
      },
    };
  }

  #head(
    owner: string | undefined,
    sequence: number,
  ): Pick<LiveSnapshot, 'sequence' | 'at_ms' | 'version' | 'scope'> {
    const { clock, version } = this.#options;
    const scope = owner === undefined ? 'all' : 'own';
    return { sequence, at_ms: clock.wallNow(), version, scope };
  }

  #parts(
    owner: string | undefined,
    {
      now,
      ended,
      endedOmitted,
    }: {
      readonly now: Milliseconds;
      readonly ended: readonly RequestRecord[];
      readonly endedOmitted: number;
    },
  ): {
    readonly sums: LiveSums;
    readonly state: LiveState;
    readonly receipts: Pick<LiveSnapshot, 'ended' | 'ended_omitted'>;
  } {
    const { clock, state, settings } = this.#options;
    const clientName = this.#names.nameOf;
    const context = { offsetMs: clock.wallNow() - now, clientName };
    return {
      sums: (this.#sums ?? new LiveSumsWindow(now, settings)).at(now),
      state: state({ owner, clientName }),
      receipts: {
        ended: ended.map((record) => receiptOf(record, context)),
        ended_omitted: endedOmitted,
      },
    };
  }
}

function busy(message: string): ServingError {
  return new ServingError('server_busy', { message, retryAfterSeconds: HEARTBEAT_MS / 1000 });
}
