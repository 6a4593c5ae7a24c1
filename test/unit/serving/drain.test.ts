import { describe, expect, it } from 'vitest';
import { Cancellation } from '../../../src/core/cancellation.ts';
import { Drain } from '../../../src/serving/drain.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const generation = () => ({
  trace: { requestId: 'r', receivedAt: 0 },
  cancellation: new Cancellation(),
  connection: {},
});

describe('draining', () => {
  it('says so at once but still takes requests during the delay', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const ended = drain.run({ delayMs: 5000, graceMs: 1000 });
    expect(drain.draining).toBe(true);
    const leave = drain.enter(generation());
    leave({ untold: true });
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
    leave({ untold: true });
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

  it('after the delay serves what comes on connections that were there, and rejects what comes on new ones', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const stuck = drain.enter(generation());
    const kept = generation();
    drain.connectionOpened(kept.connection);
    const ended = drain.run({ delayMs: 5000, graceMs: 20_000 });
    await clock.advance(5000);
    const late = generation();
    drain.connectionOpened(late.connection);
    expect(() => drain.enter(late)).toThrowError(expect.objectContaining({ code: 'draining' }));
    const leave = drain.enter(kept);
    stuck({ untold: false });
    await clock.advance(3000);
    leave({ untold: false });
    await ended;
  });

  it('waits a moment for the next request on a connection whose answer did not say that it ends', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const stream = generation();
    const leave = drain.enter(stream);
    let ended = false;
    void drain.run({ delayMs: 5000, graceMs: 20_000 }).then(() => {
      ended = true;
    });
    await clock.advance(6000);
    leave({ untold: true });
    await clock.advance(900);
    const leaveAgain = drain.enter(stream);
    await clock.advance(3000);
    expect(ended).toBe(false);
    leaveAgain({ untold: false });
    await clock.settle();
    expect(ended).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('without a delay waits for no connection, and rejects what comes on any', async () => {
    const clock = new FakeClock();
    const drain = new Drain(clock);
    const leave = drain.enter(generation());
    const ended = drain.run({ delayMs: 0, graceMs: 2000 });
    await clock.settle();
    expect(() => drain.enter(generation())).toThrowError(expect.objectContaining({ code: 'draining' }));
    leave({ untold: true });
    await ended;
  });
});
