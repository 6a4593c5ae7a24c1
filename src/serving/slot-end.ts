/** How a granted slot ends, whatever it was granted for: when it is given back, and whose fault an error is. */
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { Settlement } from '../scheduling/decision.ts';
import type { Grant } from './dispatcher.ts';

const RELEASE_AT_LATEST_MS = 1000;

/** In the background: the caller has its answer or error already and waits for nothing. */
export function releaseWhenFree(held: {
  readonly grant: Grant;
  readonly settlement: Settlement;
  /** Settles when the backend holds nothing of the request any more; undefined: it does not. */
  readonly free: Promise<unknown> | undefined;
  readonly clock: Clock;
}): void {
  const { grant, settlement, free, clock } = held;
  if (free === undefined) {
    grant.release(settlement);
    return;
  }
  let released = false;
  const release = () => {
    if (released) return;
    released = true;
    atLatest.cancel();
    grant.release(settlement);
  };
  const atLatest = clock.schedule(RELEASE_AT_LATEST_MS, release);
  free.then(release, release);
}

/** What ended a request: its own cancellation, or else what was thrown. */
export function causeOfEnd(thrown: unknown, signal: AbortSignal): ServingError {
  if (signal.aborted) return signal.reason as ServingError;
  return thrown instanceof ServingError ? thrown : new ServingError('backend_error', { cause: thrown });
}

export function isBackendFault({ code }: ServingError): boolean {
  return code === 'backend_error' || code === 'no_backend_available' || code === 'model_not_found';
}
