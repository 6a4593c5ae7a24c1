/**
 * The start of a worker that takes the place of a dead one while the store cannot be reached: it waits for the store, instead of ending and
 * being started again after ever longer delays.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { StoreError } from '../core/store-error.ts';

const TRY_EVERY_MS: Milliseconds = 500;

interface StoreWaitOptions {
  readonly clock: Pick<Clock, 'schedule'>;
  readonly log: Pick<Log, 'warn'>;
  /** It is not needed any more. */
  readonly isEnding: () => boolean;
}

/** Rejects as `start` does, but where the store is unavailable. Undefined: it is ending. */
export async function onceStoreOpens<Started>(
  start: () => Promise<Started>,
  { clock, log, isEnding }: StoreWaitOptions,
): Promise<Started | undefined> {
  let hasWarned = false;
  while (!isEnding()) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof StoreError) || error.fault !== 'unavailable') throw error;
      if (!hasWarned) log.warn(`${error.message} This worker serves as soon as it can be opened.`);
      hasWarned = true;
    }
    await new Promise<void>((resolve) => clock.schedule(TRY_EVERY_MS, resolve));
  }
  return undefined;
}
