/** What the edge reports of each request; the telemetry layer makes log lines and metrics of it. */
import type { Milliseconds } from './clock.ts';
import type { Receipt } from './receipt.ts';

export interface RequestRecord {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The path of a route we know, or `unknown`: few values, fit for a label. */
  readonly route: string;
  /** 499 for a client that left. */
  readonly status: number;
  readonly clientAddress: string;
  readonly receipt: Receipt;
  readonly endedAt: Milliseconds;
}

export interface Telemetry {
  requestEnded(record: RequestRecord): void;
  /** A connection was closed unread; `bound` is the setting that it would have exceeded. */
  connectionRefused(bound: string): void;
  tokenGap(model: string, gapMs: Milliseconds): void;
  /** Prometheus text exposition. */
  metrics(): { readonly contentType: string; readonly text: string };
}
