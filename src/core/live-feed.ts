/** The live feed, between its parts: serving gives the state, telemetry makes snapshots of it, the edge sends them. */
import type { LiveModel, LiveRunning, LiveSnapshot, LiveTarget, LiveWaiting } from './live-snapshot.ts';
import type { RequestTrace } from './request-trace.ts';
import type { SharedLimits } from './shared-limits.ts';

/** Who looks. */
export interface LiveViewer {
  /** The caller whose requests it sees; undefined: all. */
  readonly owner: string | undefined;
  /** Of those that wait in the queue, only these, by their ids; absent: the first, or those of the owner. */
  readonly entries?: ReadonlySet<string> | undefined;
  /** An opaque name for a client. */
  readonly clientName: (client: string) => string;
}

export interface LiveState {
  readonly models: readonly LiveModel[];
  readonly targets: readonly LiveTarget[];
  /** Absent: each server counts for itself. */
  readonly shared_limits?: SharedLimits;
  readonly queue: readonly LiveWaiting[];
  readonly running: readonly LiveRunning[];
}

/** Gets snapshots as they come. Neither method throws. */
export interface LiveReader {
  /** A snapshot as JSON. One that cannot take it yet keeps this one instead of what it kept before. */
  snapshot(json: string): void;
  /** Nothing has changed for a while. */
  heartbeat(): void;
  /** The feed has ended. */
  end(): void;
}

export interface LiveFeed {
  /** One, of now. */
  snapshot(owner: string | undefined): Promise<LiveSnapshot>;
  /**
   * The first one comes as soon as it is made. Returns what ends it. Throws, or rejects with, `server_busy` where too many look already,
   * `draining` once it is closed.
   */
  watch(
    viewer: { readonly owner: string | undefined; readonly intervalMs: number },
    reader: LiveReader,
  ): (() => void) | Promise<() => void>;
  /** Ends the streams of all readers, who may come back: what they may see is decided when they come. */
  disconnectAll(): void;
  /** Ends all readers, and refuses others. */
  close(): void;
}

/** To whom a request belongs: to its key, or, where none is asked for, to its client. */
export function ownerOf({ caller, client = '' }: Pick<RequestTrace, 'caller' | 'client'>): string {
  return caller?.id ?? client;
}
