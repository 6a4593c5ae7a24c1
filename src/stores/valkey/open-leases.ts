/** Opens the store of slot leases. Loaded only where `leases.store` names a server: the client library takes its time. */
import type { Milliseconds } from '../../core/clock.ts';
import { StoreError } from '../store.ts';
import { parseValkeyAddress, shownAddress } from './address.ts';
import { ValkeyConnection } from './connection.ts';
import type { ValkeyFailure } from './failure.ts';
import { LEASE_SCRIPTS } from './lease-script.ts';
import { ValkeyLeases } from './lease-store.ts';

const CONNECT_TIMEOUT_MS: Milliseconds = 1000;
/** A connection whose other end is silent is made anew well within a lease. */
const SILENCE_TIMEOUT_MS: Milliseconds = 1500;

/**
 * Resolves after the first try to reach the server, also where that failed: leases.on_failure holds then. Rejects with a StoreError where
 * the server does not let us in, which waiting will not mend.
 */
export async function openLeaseStore(
  address: string,
): Promise<{ readonly store: ValkeyLeases; readonly shownAddress: string }> {
  const parsed = parseValkeyAddress(address);
  let connection: ValkeyConnection | undefined;
  const failure = await new Promise<ValkeyFailure | undefined>((resolve) => {
    connection = new ValkeyConnection({
      address: parsed,
      name: 'llm-serve-leases',
      scripts: Object.values(LEASE_SCRIPTS),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      silenceTimeoutMs: SILENCE_TIMEOUT_MS,
      onReady: () => resolve(undefined),
      onLost: resolve,
    });
    connection.connect();
  });
  if (connection === undefined) throw new Error('there is no connection');
  const store = new ValkeyLeases({ runner: connection, prefix: parsed.prefix });
  const shown = shownAddress(parsed);
  if (failure?.reason !== 'refused') return { store, shownAddress: shown };
  await store.close();
  throw new StoreError(
    'refused',
    `The lease store at ${shown} does not let this server in: ${failure.message} Correct the user or the password in leases.store, or what that user may do.`,
  );
}
