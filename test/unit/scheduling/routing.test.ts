import { describe, expect, it } from 'vitest';
import type { SchedulerTarget } from '../../../src/scheduling/decision.ts';
import type { RoutingMode } from '../../../src/scheduling/routing.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, prefixOf, SCHEDULER, settled } from '../../support/scheduling.ts';

/** A scheduler with ready targets of the model `m`, eight slots each, and short ways to ask it. */
class Routed {
  readonly scheduler: Scheduler;
  readonly at = new Map<string, string>();
  #ids = 0;

  constructor(
    targets: Readonly<Record<string, Partial<SchedulerTarget>>>,
    policy: RoutingMode = 'load',
    { prefixAffinity = false, random = () => 0.5 as number } = {},
  ) {
    const routing = { policy, prefixAffinity, random };
    this.scheduler = new Scheduler({ ...SCHEDULER, maxQueue: 10_000, maxBatchSize: 64, routing });
    for (const [id, changes] of Object.entries(targets))
      this.scheduler.setTarget({ id, model: 'm', slots: 8, state: 'ready', ...changes }, 0);
  }

  /** Sends so many; returns where they went. */
  send(times: number, changes: Parameters<typeof entry>[1] = {}): string[] {
    const ids = Array.from({ length: times }, () => `e${this.#ids++}`);
    for (const id of ids) this.scheduler.enqueue(entry(id, changes), 0);
    for (const decision of this.scheduler.tick(0))
      if (decision.type === 'dispatch')
        for (const { id, target } of decision.batch.members) this.at.set(id, target);
    return ids.map((id) => this.at.get(id) ?? 'queue');
  }

  endAll(): void {
    for (const id of this.at.keys()) this.scheduler.release(id, settled(), 0);
    this.at.clear();
  }
}

const countOf = (where: readonly string[], target: string) => where.filter((each) => each === target).length;

describe('by load', () => {
  it('requests go where the least is, for slots and weight; of equals to the first', () => {
    expect(new Routed({ a: {}, b: {} }).send(4)).toEqual(['a', 'b', 'a', 'b']);
    const sized = new Routed({ small: { slots: 2 }, large: { slots: 6 } }).send(8);
    expect(countOf(sized, 'small')).toBe(2);
    const weighted = new Routed({ light: {}, heavy: { weight: 3 } }).send(8);
    expect(countOf(weighted, 'light')).toBe(2);
  });

  it('a long request counts for more than a short one', () => {
    const routed = new Routed({ a: {}, b: {} });
    routed.send(1, { maxTokens: 10_000 });
    expect(routed.send(3)).toEqual(['b', 'b', 'b']);
  });

  it('what others have running, what waits there and a full KV cache count too', () => {
    for (const load of [{ running: 6 }, { running: 0, waiting: 3 }, { running: 0, kvCacheUsed: 0.9 }]) {
      const routed = new Routed({ a: {}, b: {} });
      routed.scheduler.reportLoad({ id: 'a', model: 'm' }, load, 0);
      expect(routed.send(2), JSON.stringify(load)).toEqual(['b', 'b']);
    }
  });

  it('our own requests in a report are not counted twice', () => {
    const routed = new Routed({ a: {}, b: {} });
    routed.send(4);
    routed.scheduler.reportLoad({ id: 'a', model: 'm' }, { running: 2, waiting: 0 }, 0);
    expect(countOf(routed.send(4), 'a')).toBe(2);
  });

  it('requests do not all go to the one server that reported less: what was sent since counts', () => {
    const routed = new Routed({ a: {}, b: {}, c: {} });
    for (const [id, running] of [
      ['a', 4],
      ['b', 4],
      ['c', 2],
    ] as const)
      routed.scheduler.reportLoad({ id, model: 'm' }, { running, waiting: 0, kvCacheUsed: running / 10 }, 0);
    const where = routed.send(12);
    expect(countOf(where, 'c')).toBeLessThanOrEqual(6);
    expect(Math.min(countOf(where, 'a'), countOf(where, 'b'))).toBeGreaterThanOrEqual(3);
  });

  it('a report that is withdrawn does not count any more', () => {
    const routed = new Routed({ a: {}, b: {} });
    routed.scheduler.reportLoad({ id: 'a', model: 'm' }, { running: 6, waiting: 2, kvCacheUsed: 1 }, 0);
    routed.scheduler.reportLoad({ id: 'a', model: 'm' }, undefined, 0);
    expect(routed.send(1)).toEqual(['a']);
  });

  it('models of one server share its load: adapters as model names', () => {
    const routed = new Routed({ a: { server: 'http://one' }, b: { server: 'http://two' } });
    routed.scheduler.setTarget(
      { id: 'adapter', model: 'adapter', slots: 8, state: 'ready', server: 'http://one' },
      0,
    );
    routed.send(4, { model: 'adapter' });
    expect(routed.send(3)).toEqual(['b', 'b', 'b']);
  });
});

describe('the other policies', () => {
  it('by weight: shares hold over time, also of requests that run one after the other', () => {
    const routed = new Routed({ a: { weight: 5 }, b: { weight: 1 }, c: { weight: 1 } }, 'weighted');
    const where: string[] = [];
    for (let time = 0; time < 70; time += 1) {
      where.push(...routed.send(1));
      routed.endAll();
    }
    expect(['a', 'b', 'c'].map((id) => countOf(where, id))).toEqual([50, 10, 10]);
    // Smooth: no run of the heaviest is longer than its weight.
    expect(where.join('')).not.toContain('aaaaaa');
  });

  it('by weight: a target that comes back does not make up for its absence', () => {
    const routed = new Routed({ a: {}, b: { state: 'down' } }, 'weighted');
    for (let time = 0; time < 50; time += 1) {
      routed.send(1);
      routed.endAll();
    }
    routed.scheduler.setTarget({ id: 'b', model: 'm', slots: 8, state: 'ready' }, 0);
    expect(countOf(routed.send(6), 'b')).toBeLessThanOrEqual(4);
  });

  it('by tokens: the one with the fewest in flight', () => {
    const routed = new Routed({ a: {}, b: {} }, 'fewest-tokens');
    routed.send(1, { maxTokens: 100 });
    expect(countOf(routed.send(7), 'b')).toBe(7);
  });

  it('at random: by weight', () => {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 0x1_0000_0000;
    };
    const routed = new Routed({ a: { weight: 3 }, b: {} }, 'random', { random });
    let a = 0;
    for (let time = 0; time < 2000; time += 1) {
      a += countOf(routed.send(1), 'a');
      routed.endAll();
    }
    expect(a / 2000).toBeGreaterThan(0.7);
    expect(a / 2000).toBeLessThan(0.8);
  });
});

describe('prefix affinity', () => {
  const four = { 'm/vllm/0': {}, 'm/vllm/1': {}, 'm/vllm/2': {}, 'm/vllm/3': {} };
  const conversations = Array.from({ length: 40 }, (_, index) => `conversation ${index}`);
  const homes = (routed: Routed, turns: number) =>
    conversations.map((conversation) => {
      const [home] = routed.send(1, { prefix: prefixOf(conversation, turns) });
      routed.endAll();
      return home;
    });

  it('sends the next turn where the one before is cached, and another server of ours decides alike', () => {
    const first = homes(new Routed(four, 'load', { prefixAffinity: true }), 1);
    expect(new Set(first).size).toBe(4);
    const other = new Routed(Object.fromEntries(Object.entries(four).reverse()), 'weighted', {
      prefixAffinity: true,
    });
    expect(homes(other, 2)).toEqual(first);
    expect(homes(other, 3)).toEqual(first);
  });

  it('moves only the prompts of a target that leaves, and they return with it', () => {
    const routed = new Routed(four, 'load', { prefixAffinity: true });
    const before = homes(routed, 1);
    routed.scheduler.setTarget({ id: 'm/vllm/2', model: 'm', slots: 8, state: 'down' }, 0);
    const without = homes(routed, 2);
    without.forEach((home, index) => {
      if (before[index] === 'm/vllm/2') expect(home).not.toBe('m/vllm/2');
      else expect(home).toBe(before[index]);
    });
    routed.scheduler.setTarget({ id: 'm/vllm/2', model: 'm', slots: 8, state: 'ready' }, 0);
    expect(homes(routed, 3)).toEqual(before);
  });

  it('gives way where the home has too much to do', () => {
    const routed = new Routed(four, 'load', { prefixAffinity: true });
    const where = routed.send(16, { prefix: prefixOf('one for all', 1) });
    for (const target of Object.keys(four)) expect(countOf(where, target)).toBeLessThanOrEqual(6);
    expect(new Set(where).size).toBeGreaterThanOrEqual(3);
  });

  it('is off where the configuration says so', () => {
    const routed = new Routed(four, 'load');
    expect(new Set(homes(routed, 1))).toEqual(new Set(['m/vllm/0']));
  });

  it('lets a request overtake whose home has a free slot', () => {
    const routed = new Routed({ t0: { slots: 1 }, t1: { slots: 1 } }, 'load', { prefixAffinity: true });
    const where = routed.send(2, { prefix: prefixOf('fourth', 1) });
    expect(where.sort()).toEqual(['t0', 't1']);
    const atT1 = [...routed.at].find(([, target]) => target === 't1')?.[0] ?? '';
    // `fourth` is at home at t0, `other` at t1.
    expect(routed.send(1, { prefix: prefixOf('fourth', 2) })).toEqual(['queue']);
    expect(routed.send(1, { prefix: prefixOf('other', 1) })).toEqual(['queue']);
    routed.scheduler.release(atT1, settled(), 0);
    const [decision] = routed.scheduler.tick(0);
    expect(decision?.type === 'dispatch' && decision.batch.members).toEqual([
      { id: 'e3', target: 't1', slot: 0 },
    ]);
  });
});
