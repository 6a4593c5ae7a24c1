import { describe, expect, it } from 'vitest';
import { LeaseKeeper } from '../../../src/leases/lease-keeper.ts';
import { LeaseLedger } from '../../../src/leases/lease-ledger.ts';
import type { LeaseStore } from '../../../src/leases/lease-store.ts';
import type { LeaseSettings } from '../../../src/leases/slot-leases.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const TARGET = 'm: m at http://gpu:8000';

/** The wall clock goes with the monotonic one, but for what a test adds. */
class LeapingClock extends FakeClock {
  leapMs = 0;
  /** For so long other processes have the processor, just before it is read. */
  interruptedMs = 0;

  override wallNow(): number {
    const { interruptedMs } = this;
    this.interruptedMs = 0;
    this.pass(interruptedMs);
    return super.wallNow() + this.leapMs;
  }
}

async function kept(settings: Partial<LeaseSettings> = {}) {
  const clock = new LeapingClock();
  const ledger = new LeaseLedger();
  const allowed = new Map<string, { slots: number; until: number }>();
  const demand = { target: TARGET, slots: 8, used: 0, waiting: 20 };
  const seen = { logged: [] as string[], failures: [] as string[], grants: [] as string[], left: 0 };
  const state = { isAway: false, isSilent: false, isHeld: false };
  const answers: (() => void)[] = [];
  const store: LeaseStore = {
    renew: async (renewal) => {
      if (state.isSilent) return new Promise(() => {});
      if (state.isHeld) {
        const granted = ledger.renew(renewal, { now: clock.now() + 1_000_000, run: 'one' });
        return new Promise((resolve) => answers.push(() => resolve(granted)));
      }
      if (state.isAway) throw Object.assign(new Error('It is gone.'), { reason: 'unreachable' });
      return ledger.renew(renewal, { now: clock.now() + 1_000_000, run: 'one' });
    },
    leave: async (replica, targets) => {
      seen.left += 1;
      ledger.leave(replica, targets);
    },
    close: async () => {},
  };
  const note = (message: string) => void seen.logged.push(message);
  const keeper = new LeaseKeeper({
    replica: 'one',
    clock,
    log: { debug: () => {}, info: note, warn: note, error: note },
    store,
    shownAddress: 'valkey://store',
    settings: { leaseMs: 3000, timeoutMs: 500, onFailure: 'share', ...settings },
    given: {
      demands: () => [demand],
      allow: (leaseOf) => void allowed.set(TARGET, leaseOf(TARGET)),
    },
    observer: {
      renewed: () => {},
      failed: (reason) => void seen.failures.push(reason),
      granted: (basis, isAllowed) => void seen.grants.push(`${basis} ${isAllowed}`),
    },
  });
  keeper.changed();
  await clock.advance(7000);
  return { clock, ledger, keeper, demand, state, answers, seen, allowed: () => allowed.get(TARGET) };
}

describe('the keeper of leases', () => {
  it('has the scheduler give what is leased, until the lease ends', async () => {
    const { clock, allowed, keeper } = await kept();
    expect(allowed()?.slots).toBe(8);
    expect((allowed()?.until ?? 0) - clock.now()).toBeGreaterThan(2000);
    expect(keeper.held()).toMatchObject([{ basis: 'lease', slots: 8, evenShare: 8 }]);
  });

  it('asks for nothing before it is due, and at once for more when more waits', async () => {
    const { clock, demand, keeper, allowed } = await kept();
    demand.waiting = 0;
    await clock.advance(2000);
    expect(allowed()?.slots).toBe(1);
    demand.waiting = 5;
    keeper.changed();
    await clock.advance(20);
    expect(allowed()?.slots).toBeGreaterThanOrEqual(5);
  });

  it('counts a slot that was given beyond what is leased by that time', async () => {
    const { clock, keeper, seen, state } = await kept({ onFailure: 'stop' });
    keeper.granted(TARGET, 8);
    keeper.granted(TARGET, 9);
    state.isAway = true;
    // As a process does that stands still: no timer runs meanwhile.
    clock.pass(5000);
    keeper.granted(TARGET, 1);
    expect(seen.grants).toEqual(['lease true', 'lease false', 'none false']);
    expect(seen.logged.filter((message) => message.includes('not leased'))).toHaveLength(2);
  });

  it('says that the store is away only after a while, uses the even share then, and says when it is back', async () => {
    const { clock, state, seen, keeper, allowed } = await kept();
    state.isAway = true;
    await clock.advance(900);
    expect(keeper.isAway).toBe(false);
    await clock.advance(500);
    expect(keeper.isAway).toBe(true);
    await clock.advance(3000);
    expect(keeper.held()).toMatchObject([{ basis: 'even_share', slots: 8 }]);
    expect(allowed()?.slots).toBe(8);
    state.isAway = false;
    await clock.advance(1000);
    expect(keeper.held()).toMatchObject([{ basis: 'lease' }]);
    const about = seen.logged.filter((message) => /be asked|used again/.test(message));
    expect(about).toHaveLength(2);
    expect(about[0]).toContain('It is gone. When the leases have ended, this replica uses its even share');
  });

  it('promises no even share where it does not know how many there are', async () => {
    const { clock, state, seen, keeper } = await kept();
    clock.leapMs = 5000;
    state.isAway = true;
    await clock.advance(1000);
    state.isAway = false;
    await clock.advance(500);
    state.isAway = true;
    await clock.advance(4000);
    expect(keeper.held()).toMatchObject([{ basis: 'none', evenShare: undefined }]);
    expect(seen.logged.at(-1)).toContain('It is gone. This replica has not been there for long enough');
  });

  it('takes a store that does not answer for away, and asks again', async () => {
    const { clock, state, seen } = await kept();
    state.isSilent = true;
    await clock.advance(2500);
    expect(new Set(seen.failures)).toEqual(new Set(['slow']));
    expect(seen.failures.length).toBeGreaterThan(2);
  });

  it('trusts no lease after the wall clock has gone forward at once, as after a sleep', async () => {
    const { clock, keeper, allowed, seen } = await kept();
    clock.leapMs = 60_000;
    keeper.beforeGrants();
    expect(allowed()?.slots).toBe(0);
    await clock.advance(600);
    expect(allowed()?.slots).toBe(8);
    expect(seen.logged.some((message) => message.includes('went forward'))).toBe(true);
  });

  it('trusts none after a sleep that is short, and longer than what its end comes earlier than at the store', async () => {
    const { clock, keeper, allowed, seen } = await kept();
    clock.leapMs = 100;
    keeper.beforeGrants();
    expect(allowed()?.slots).toBe(8);
    clock.leapMs = 400;
    keeper.beforeGrants();
    expect(allowed()?.slots).toBe(0);
    expect(seen.logged.filter((message) => message.includes('went forward'))).toHaveLength(1);
  });

  it('takes no interruption between its looks at the two clocks for a sleep', async () => {
    const { clock, keeper, allowed, seen } = await kept();
    clock.interruptedMs = 400;
    keeper.beforeGrants();
    keeper.beforeGrants();
    expect(allowed()?.slots).toBe(8);
    expect(seen.logged.filter((message) => message.includes('went forward'))).toEqual([]);
  });

  it('trusts no answer after a sleep that was asked for before it', async () => {
    const { clock, keeper, allowed, state, answers } = await kept();
    state.isHeld = true;
    await clock.advance(300);
    expect(answers).toHaveLength(1);
    clock.leapMs = 60_000;
    keeper.beforeGrants();
    answers.shift()?.();
    await clock.settle();
    expect(keeper.held()).toMatchObject([{ basis: 'none', slots: 0 }]);
    expect(allowed()?.slots).toBe(0);
    await clock.advance(10);
    answers.shift()?.();
    await clock.settle();
    expect(allowed()?.slots).toBe(8);
  });

  it('knows no even share after a sleep: others may have come, and the store may have gone meanwhile', async () => {
    const { clock, keeper, allowed, state } = await kept();
    state.isAway = true;
    clock.leapMs = 60_000;
    await clock.advance(5000);
    expect(keeper.held()).toMatchObject([{ basis: 'none', evenShare: undefined }]);
    expect(allowed()?.slots).toBe(0);
  });

  it('gives everything back when it closes, and asks no more', async () => {
    const { clock, keeper, ledger, seen } = await kept();
    expect(ledger.sumOf(TARGET)).toBe(8);
    await keeper.close();
    expect(ledger.sumOf(TARGET)).toBe(0);
    await clock.advance(5000);
    expect([ledger.sumOf(TARGET), seen.left, clock.pendingTimers]).toEqual([0, 1, 0]);
  });
});
