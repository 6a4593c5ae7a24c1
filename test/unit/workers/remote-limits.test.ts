import { describe, expect, it } from 'vitest';
import type { Charge, LimitStore } from '../../../src/limits/limit-store.ts';
import { MemoryLimitStore } from '../../../src/limits/memory-limit-store.ts';
import { systemClock } from '../../../src/system-clock.ts';
import { LimitHost } from '../../../src/workers/limit-host.ts';
import type { LimitsToControl, LimitsToWorker } from '../../../src/workers/limit-messages.ts';
import { Link } from '../../../src/workers/link.ts';
import { RemoteLimitStore } from '../../../src/workers/remote-limit-store.ts';
import { limitStoreContract } from '../../contract/limit-store.ts';
import { duplexPair } from '../../support/duplex-pair.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Workers whose limits are counted in one store, as in a control process. */
function start() {
  const clock = new FakeClock();
  const memory = new MemoryLimitStore({ clock, maxKeys: () => 1000 });
  const host = new LimitHost(memory);
  const worker = () => {
    const [near, far] = duplexPair();
    const toWorker = new Link<LimitsToWorker, LimitsToControl>({
      input: far,
      output: far,
      clock: systemClock,
      onMessage: (message) => hosted.receive(message),
      onEnd: () => hosted.end(),
    });
    const hosted = host.connect((message) => toWorker.send(message));
    const toControl = new Link<LimitsToControl, LimitsToWorker>({
      input: near,
      output: near,
      clock: systemClock,
      onMessage: (message) => store.receive(message),
      onEnd: () => store.end(),
    });
    const store = new RemoteLimitStore({
      send: (message) => toControl.send(message),
      flush: () => toControl.flush(),
      mayAsk: () => true,
      isShared: false,
    });
    return { store, die: () => near.destroy() };
  };
  return { clock, memory, worker };
}

limitStoreContract('the control process, through a link', async () => {
  const { clock, worker } = start();
  const { store } = worker();
  return {
    store,
    pass: (milliseconds) => clock.pass(milliseconds),
    wallNow: () => clock.wallNow(),
    toleranceMs: 0,
    close: () => store.close(),
  };
});

const running: Charge = { counter: 'key:a:concurrent_requests', bound: { kind: 'now', limit: 2 }, amount: 1 };
const tokens = (amount: number): Charge => ({
  counter: 'key:a:tokens_per_minute',
  bound: { kind: 'window', limit: 1000, windowMs: 60_000 },
  amount,
});

describe('limits of several workers', () => {
  it('are the same ones', async () => {
    const { worker } = start();
    const [one, other] = [worker(), worker()];
    const decisions = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).store.decide([tokens(100)])),
    );
    expect(decisions.filter(({ admission }) => admission !== undefined)).toHaveLength(10);
  });

  it('take back what ran at the same time in one that has died, and keep what it had counted', async () => {
    const { memory, worker } = start();
    const [one, other] = [worker(), worker()];
    await one.store.decide([running, tokens(300)]);
    await one.store.decide([running, tokens(200)]);
    expect((await other.store.decide([running])).admission).toBeUndefined();
    one.die();
    await expect.poll(() => memory.peek([running])[0]).toMatchObject({ remaining: 2 });
    expect((await other.store.peek([tokens(1)]))[0]).toMatchObject({ remaining: 500 });
  });

  it('are forgotten by the control process once they are settled, also where nothing has changed', async () => {
    const host = new LimitHost(new MemoryLimitStore({ clock: new FakeClock(), maxKeys: () => 10 }));
    const sent: LimitsToControl[] = [];
    const store = new RemoteLimitStore({
      send: (message) => {
        sent.push(message);
        hosted.receive(message);
      },
      flush: () => {},
      mayAsk: () => true,
      isShared: false,
    });
    const hosted = host.connect((message) => store.receive(message));
    for (let time = 0; time < 250; time += 1) {
      const { admission } = await store.decide([tokens(1)]);
      if (admission !== undefined) store.settle(admission, [1]);
    }
    expect(hosted.kept).toBe(1);
    await store.decide([tokens(1)], { isFinal: true });
    expect(hosted.kept).toBe(0);
    expect(sent.filter(({ type }) => type === 'settle')).toEqual([]);
  });

  it('admit nothing while the control process is silent, and what it then counts late is taken back', async () => {
    const { clock, memory } = start();
    const host = new LimitHost(memory);
    const held: LimitsToControl[] = [];
    let isSilent = false;
    const store = new RemoteLimitStore({
      send: (message) => held.push(message),
      flush: () => {},
      mayAsk: () => !isSilent,
      isShared: false,
    });
    const hosted = host.connect((message) => store.receive(message));
    const asked = store.decide([running, tokens(300)]);
    const looked = store.peek([tokens(1)]);
    const tellsNothing = expect(looked).rejects.toMatchObject({ code: 'server_busy' });
    isSilent = true;
    store.interrupt();
    expect((await asked).admission).toBeUndefined();
    await tellsNothing;
    const meanwhile = store.decideAhead([tokens(1)], undefined);
    expect((await meanwhile.decision).admission).toBeUndefined();
    await expect(store.peek([tokens(1)])).rejects.toMatchObject({ code: 'server_busy' });
    expect(held, 'nobody is asked meanwhile').toHaveLength(2);
    isSilent = false;
    const afterwards = store.decide([tokens(1)]);
    while (held.length > 0) for (const message of held.splice(0)) hosted.receive(message);
    expect((await afterwards).admission).toBeDefined();
    await clock.settle();
    expect(memory.peek([running, tokens(1)])).toMatchObject([{ remaining: 2 }, { remaining: 999 }]);
    expect(hosted.kept).toBe(1);
  });

  it('are asked ahead: what depends on a refused decision is refused and counts nothing, be the store here or elsewhere', async () => {
    for (const isElsewhere of [false, true]) {
      const memory = new MemoryLimitStore({ clock: new FakeClock(), maxKeys: () => 10 });
      const elsewhere: LimitStore = {
        isShared: true,
        decide: async (charges) => memory.decide(charges),
        countRunning: (all) => memory.countRunning(all),
        settle: (...settled) => memory.settle(...settled),
        peek: (charges) => memory.peek(charges),
        close: async () => {},
      };
      const host = new LimitHost(isElsewhere ? elsewhere : memory);
      const held: LimitsToControl[] = [];
      const store = new RemoteLimitStore({
        send: (message) => held.push(message),
        flush: () => {},
        mayAsk: () => true,
        isShared: false,
      });
      const hosted = host.connect((message) => store.receive(message));
      const first = store.decideAhead([running], undefined);
      const second = store.decideAhead([tokens(300)], first.call);
      const tooMany = store.decideAhead([tokens(900)], second.call);
      const never = store.decideAhead([tokens(1)], tooMany.call);
      for (const message of held.splice(0)) hosted.receive(message);
      const known = await Promise.all([first, second, tooMany, never].map(({ decision }) => decision));
      expect(known.map(({ admission }) => admission !== undefined)).toEqual([true, true, false, false]);
      expect(memory.peek([running, tokens(1)])).toMatchObject([{ remaining: 1 }, { remaining: 700 }]);
      expect([second, never].map(({ call }) => hosted.admitted(call))).toEqual([true, false]);
    }
  });

  it('answer nobody any more once the control process is gone: nothing is admitted, and no limit refuses', async () => {
    const { worker } = start();
    const { store, die } = worker();
    const { admission } = await store.decide([running]);
    const asked = store.decide([tokens(1)]);
    const tellsNothing = expect(store.peek([tokens(1)])).rejects.toMatchObject({ code: 'server_busy' });
    die();
    const unknown = [{ limit: 1000, remaining: 0, retryInMs: 0 }];
    expect(await asked).toEqual({ admission: undefined, states: unknown });
    await tellsNothing;
    expect(await store.decide([tokens(1)])).toEqual({ admission: undefined, states: unknown });
    if (admission !== undefined) store.settle(admission, [0]);
  });
});
