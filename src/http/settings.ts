/**
 * What of the configuration the edge uses. There is one object of it, whose fields a reload replaces within one turn of the event
 * loop: they are read where they are needed and kept nowhere.
 */
import type { ConfiguredKey } from '../access/key-ring.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { LimitSettings } from '../limits/limit-plan.ts';
import type { ModelPrice } from '../usage/prices.ts';
import type { AddressRange } from './client-address.ts';

export interface EdgeSettings {
  /** The server listens on this machine alone. */
  readonly onLoopback: boolean;
  /** `auth.allow_open`: whoever reaches it may use it. */
  readonly allowsOpen: boolean;
  readonly trustedProxies: readonly AddressRange[];
  /** Proxies in front that append to X-Forwarded-For; 0: they are told by their addresses alone. */
  readonly trustedHops: number;
  /** Whether connections of trusted proxies begin with a PROXY header. */
  readonly proxyProtocol: 'off' | 'optional' | 'required';
  readonly apiKeys: readonly ConfiguredKey[];
  readonly adminKeys: readonly ConfiguredKey[];
  /** GET /metrics needs no key. */
  readonly metricsAreOpen: boolean;
  /** `server.cors_origins`; `*` is every page. */
  readonly corsOrigins: readonly string[];
  readonly bodyLimitBytes: number;
  readonly mediaBodyLimitBytes: number;
  readonly maxBodyBytesInFlight: number;
  readonly maxConnections: number;
  /** Not for trusted proxies, which carry the connections of many clients, nor for programs of this machine. */
  readonly maxConnectionsPerAddress: number;
  readonly limits: LimitSettings;
  /** By model. */
  readonly prices: Readonly<Record<string, ModelPrice>>;
  readonly currency: string;
  /** Addresses that limits and the count of wrong keys remember; more share one count. */
  readonly maxAddresses: number;
  readonly defaultMaxTokens: number;
  readonly requestTimeoutMs: Milliseconds;
  /** Addresses that may ask for high priority. */
  readonly highPriorityClients: readonly AddressRange[];
  readonly heartbeatMs: Milliseconds;
  readonly streamBufferBytes: number;
  readonly stalledReaderMs: Milliseconds;
  /** Spans have prompts and answers. */
  readonly traceContents: boolean;
}

/** The same settings, also after a reload, as a listener at another address reads them. */
export function settingsAt(
  settings: EdgeSettings,
  { onLoopback }: Pick<EdgeSettings, 'onLoopback'>,
): EdgeSettings {
  return Object.create(settings, { onLoopback: { value: onLoopback, enumerable: true } }) as EdgeSettings;
}

/** What is made of settings, made again once they are others: `sourceOf` gives the field, which a reload replaces. */
export function madeOf<Source, Made>(sourceOf: () => Source, make: (source: Source) => Made): () => Made {
  let source = sourceOf();
  let made = make(source);
  return () => {
    const current = sourceOf();
    if (current !== source) {
      source = current;
      made = make(current);
    }
    return made;
  };
}
