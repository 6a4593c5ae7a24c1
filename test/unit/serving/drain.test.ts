import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { Drain } from '../../../src/serving/drain.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const generation = () => ({
  trace: { requestId: 'r', receivedAt: 0 },
  cancellation: new Cancellation(),
});

describe('draining', () => {
  it('says so at once but still takes requests during the delay', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const ended = drain.run({ delayMs: 5000, graceMs: 1000 });
    expect(drain.draining).toBe(true);
    const leave = drain.enter(generation());
    leave();
    await clock.advance(5000);
    await ended;
    expect(() => drain.enter(generation())).toThrowError(expect.objectContaining({ code: 'draining' }));
  });

  it('waits for what is under way, then ends at once', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const leave = drain.enter(generation());
    let ended = false;
    void drain.run({ delayMs: 0, graceMs: 20_000 }).then(() => {
      ended = true;
    });
    await clock.advance(3000);
    expect(ended).toBe(false);
    leave();
    await clock.settle();
    expect(ended).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('cancels what the grace period leaves', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const stuck = generation();
    drain.enter(stuck);
    const ended = drain.run({ delayMs: 0, graceMs: 2000 });
    await clock.advance(1999);
    expect(stuck.cancellation.reason).toBeUndefined();
    await clock.advance(1);
    expect(stuck.cancellation.reason).toMatchObject({ code: 'draining' });
    await clock.advance(1000);
    await ended;
  });
});
