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
import { LIVE_LIMITS, type LiveReceipt, type LiveSnapshot, type LiveSums } from '../core/live-snapshot.ts';
import type { Objectives } from '../core/objectives.ts';
import type { RequestRecord } from '../core/request-trace.ts';
import { ClientNames } from './client-names.ts';
import { isShown, receiptOf } from './live-receipt.ts';
import { LiveSumsWindow } from './live-sums.ts';

interface LiveFeedOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly state: (viewer: LiveViewer) => LiveState;
  /** Read with every request: a reload may change them. */
  readonly settings: { readonly objectives: Objectives };
}

/** All of them together, and those that see only their own requests: the rest is kept for who sees all. */
const MAX_READERS = 32;
const MAX_OWN_READERS = 24;
/** While requests run, or the sums change, a snapshot at least so often. */
const REFRESH_MS: Milliseconds = 1000;
const HEARTBEAT_MS: Milliseconds = 5000;
/** A page that comes back after it lost its connection finds its sums again. */
const LINGER_MS: Milliseconds = 15_000;
/** A snapshot that takes long to make is made less often: at most one part in so many of the time goes into it. */
const COST_SHARE = 100;

/** The readers that get the same snapshots. */
interface Audience {
  readonly owner: string | undefined;
  readonly intervalMs: Milliseconds;
  readonly readers: Set<LiveReader>;
  sequence: number;
  /** Ended since the last snapshot; the newest `LIVE_LIMITS.ended`. */
  ended: RequestRecord[];
  endedOmitted: number;
  sent: { readonly at: Milliseconds; readonly rest: string; readonly sums: string };
  heartbeatAt: Milliseconds;
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
    if (this.#audiences.size === 0 || !isShown(record)) return;
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
    const { sums, rest } = this.#parts(owner, { now, ended: [], endedOmitted: 0 });
    return { ...this.#head(owner, 0), sums, ...rest };
  }

  watch(
    { owner, intervalMs }: { readonly owner: string | undefined; readonly intervalMs: Milliseconds },
    reader: LiveReader,
  ): () => void {
    this.#refuseTooMany(owner);
    this.#listen();
    const key = JSON.stringify([owner, intervalMs]);
    const known = this.#audiences.get(key);
    const audience = known ?? this.#newAudience(owner, intervalMs);
    if (known === undefined) {
      this.#audiences.set(key, audience);
      this.#schedule(audience, intervalMs);
    }
    audience.readers.add(reader);
    const now = this.#options.clock.now();
    const { sums, rest } = this.#parts(owner, { now, ended: [], endedOmitted: 0 });
    reader.snapshot(this.#text(audience, JSON.stringify(sums), JSON.stringify(rest)));
    return () => {
      if (!audience.readers.delete(reader) || audience.readers.size > 0) return;
      audience.timer?.cancel();
      this.#audiences.delete(key);
      if (this.#audiences.size === 0) this.#stopListeningSoon();
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#linger?.cancel();
    const readers = [...this.#audiences.values()].flatMap((audience) => [...audience.readers]);
    for (const reader of readers) reader.end();
  }

  #refuseTooMany(owner: string | undefined): void {
    let all = 0;
    let own = 0;
    for (const audience of this.#audiences.values()) {
      all += audience.readers.size;
      if (audience.owner !== undefined) own += audience.readers.size;
    }
    const isFull = all >= MAX_READERS || (owner !== undefined && own >= MAX_OWN_READERS);
    if (!isFull && !this.#isClosed) return;
    throw new ServingError('server_busy', {
      message: 'Too many programs and pages read /live at the moment. Close one, or ask again later.',
      retryAfterSeconds: HEARTBEAT_MS / 1000,
    });
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

  #newAudience(owner: string | undefined, intervalMs: Milliseconds): Audience {
    const now = this.#options.clock.now();
    return {
      owner,
      intervalMs,
      readers: new Set(),
      sequence: 0,
      ended: [],
      endedOmitted: 0,
      sent: { at: now, rest: '', sums: '' },
      heartbeatAt: now,
      timer: undefined,
    };
  }

  #schedule(audience: Audience, delayMs: Milliseconds): void {
    audience.timer = this.#options.clock.schedule(delayMs, () => this.#tick(audience));
  }

  #tick(audience: Audience): void {
    const { clock } = this.#options;
    const now = clock.now();
    const { sums, rest } = this.#parts(audience.owner, { now, ...audience });
    const texts = {
      at: now,
      rest: JSON.stringify(rest),
      // How long the window is says nothing new.
      sums: JSON.stringify({ ...sums, window_seconds: 0 }),
    };
    const { sent } = audience;
    const isRefreshed = rest.running.length > 0 || texts.sums !== sent.sums;
    if (texts.rest !== sent.rest || (isRefreshed && now - sent.at >= REFRESH_MS)) {
      audience.sequence += 1;
      audience.ended = [];
      audience.endedOmitted = 0;
      audience.sent = texts;
      audience.heartbeatAt = now;
      const text = this.#text(audience, JSON.stringify(sums), texts.rest);
      for (const reader of audience.readers) reader.snapshot(text);
    } else if (now - audience.heartbeatAt >= HEARTBEAT_MS) {
      audience.heartbeatAt = now;
      for (const reader of audience.readers) reader.heartbeat();
    }
    if (audience.readers.size === 0) return;
    this.#schedule(audience, Math.max(audience.intervalMs, COST_SHARE * (clock.now() - now)));
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
    readonly rest: LiveState & { readonly ended: readonly LiveReceipt[]; readonly ended_omitted: number };
  } {
    const { clock, state, settings } = this.#options;
    const clientName = this.#names.nameOf;
    const receipts = { offsetMs: clock.wallNow() - now, clientName };
    return {
      sums: (this.#sums ?? new LiveSumsWindow(now, settings)).at(now),
      rest: {
        ...state({ owner, clientName }),
        ended: ended.map((record) => receiptOf(record, receipts)),
        ended_omitted: endedOmitted,
      },
    };
  }

  /** The parts are objects that are written already. */
  #text({ owner, sequence }: Audience, sums: string, rest: string): string {
    const head = JSON.stringify(this.#head(owner, sequence));
    return `${head.slice(0, -1)},"sums":${sums},${rest.slice(1)}`;
  }
}
