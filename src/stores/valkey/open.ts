/** Opens limits that replicas share. Loaded only where `limits.store` names a server: the client library takes its time. */
import type { Clock, Milliseconds } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { LimitStore } from '../../limits/limit-store.ts';
import { StoreError } from '../store.ts';
import { parseValkeyAddress, shownAddress } from './address.ts';
import { ValkeyConnection } from './connection.ts';
import { ValkeyLimits } from './limit-store.ts';
import { SCRIPTS } from './scripts.ts';
import { type LimitStoreObserver, type SharedLimitSettings, SharedLimitStore } from './shared-limit-store.ts';

interface OpenOptions {
  readonly address: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Of this process alone. */
  readonly replica: string;
  readonly local: LimitStore;
  readonly settings: Readonly<SharedLimitSettings>;
  readonly observer: LimitStoreObserver;
  readonly silenceTimeoutMs?: Milliseconds;
}

const CONNECT_TIMEOUT_MS: Milliseconds = 1000;
/** Longer than a server that saves or starts a replica stands still; its connection would only be made again. */
const SILENCE_TIMEOUT_MS: Milliseconds = 3000;

/**
 * Resolves after the first try to reach the server, also where that failed: `limits.on_failure` holds then. Rejects with a StoreError
 * where the server does not let us in, which waiting will not mend.
 */
export async function openSharedLimits(options: OpenOptions): Promise<SharedLimitStore> {
  const address = parseValkeyAddress(options.address);
  const connection = new ValkeyConnection({
    address,
    name: 'llm-serve',
    scripts: Object.values(SCRIPTS),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    silenceTimeoutMs: options.silenceTimeoutMs ?? SILENCE_TIMEOUT_MS,
    onReady: () => store.connected(),
    onLost: (failure) => store.failed(failure),
  });
  const store: SharedLimitStore = new SharedLimitStore({
    ...options,
    shownAddress: shownAddress(address),
    runner: connection,
    shared: new ValkeyLimits({ runner: connection, prefix: address.prefix, replica: options.replica }),
  });
  connection.connect();
  const failure = await store.opened;
  if (failure?.reason !== 'refused') return store;
  await store.close();
  throw new StoreError(
    'refused',
    `The limit store at ${shownAddress(address)} does not let this server in: ${failure.message} Correct the user or the password in limits.store, or what that user may do.`,
  );
}
