/** The contract of limits, kept by the scripts in a real Valkey or Redis; their clock stands still until a test lets time pass. */
import { beforeAll, describe, it } from 'vitest';
import { silentLog } from '../../src/core/log.ts';
import { MemoryLimitStore } from '../../src/limits/memory-limit-store.ts';
import { SharedLimitStore } from '../../src/stores/valkey/shared-limit-store.ts';
import { systemClock } from '../../src/system-clock.ts';
import { endingAfterAll } from '../support/server.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';
import { connectedRunner, limitsOf, StoppedTime } from '../support/valkey-limits.ts';
import { limitStoreContract } from './limit-store.ts';

const endsWith = endingAfterAll();
let address = '';

describe('with a Valkey or Redis', () => {
  beforeAll(async () => {
    if (MISSING_VALKEY === undefined) ({ address } = await startValkey({ endsWith }));
  });
  if (MISSING_VALKEY !== undefined)
    it('keeps the contract of limits', (context) => context.skip(MISSING_VALKEY));
  else
    limitStoreContract('Valkey', async () => {
      const runner = new StoppedTime(await connectedRunner(address));
      const store = new SharedLimitStore({
        clock: systemClock,
        log: silentLog,
        random: () => 0,
        shownAddress: address,
        shared: limitsOf(runner),
        runner,
        local: new MemoryLimitStore({ clock: systemClock, maxKeys: () => 1000 }),
        settings: { timeoutMs: 60_000, onFailure: 'closed' },
        observer: { decided: () => {}, failed: () => {} },
      });
      store.connected();
      await store.opened;
      return {
        store,
        pass: (milliseconds) => runner.pass(milliseconds),
        wallNow: () => runner.wallNow,
        toleranceMs: 0,
        close: () => store.close(),
      };
    });
});
