/** How soon slots go where they are needed, among servers in processes of their own; the machine should be quiet. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startCountingUpstream } from '../support/counting-upstream.ts';
import { SLOTS, startReplica } from '../support/leased-replicas.ts';
import { MISSING_VALKEY, startValkey } from '../support/valkey.ts';

describe('slots that servers lease', () => {
  beforeEach((context) => context.skip(MISSING_VALKEY !== undefined, MISSING_VALKEY));

  it('reach one that joins, and one that is busy again, within a second', async () => {
    const valkey = await startValkey({ endsWith: onTestFinished });
    const upstream = await startCountingUpstream(onTestFinished);
    const start = (name: string) =>
      startReplica({ name, upstream: upstream.url, store: valkey.address, endsWith: onTestFinished });
    const first = await start('first');
    first.ask(SLOTS * 2, 60);
    await expect.poll(() => upstream.running('first')).toBe(SLOTS);
    for (const name of ['second', 'third', 'fourth']) {
      const joined = await start(name);
      const askedAt = performance.now();
      joined.ask(2, 60);
      await expect
        .poll(() => upstream.firstCameAt(name), { interval: 5 })
        .toBeLessThan(Number.POSITIVE_INFINITY);
      const joinedAfterMs = upstream.firstCameAt(name) - askedAt;
      const idleAt = performance.now();
      await joined.stopAsking();
      await expect.poll(() => upstream.running('first'), { interval: 5 }).toBe(SLOTS);
      const givenBackAfterMs = performance.now() - idleAt;
      console.log(
        `${name}: served ${joinedAfterMs.toFixed(0)} ms after it asked; what it gave back was used after ${givenBackAfterMs.toFixed(0)} ms`,
      );
      expect(joinedAfterMs, 'on a quiet machine').toBeLessThan(1000);
      expect(givenBackAfterMs, 'on a quiet machine').toBeLessThan(1200);
    }
    await expect.poll(() => upstream.most()).toBeGreaterThanOrEqual(SLOTS);
    expect(upstream.takeMost()).toBe(SLOTS);
    await first.stopAsking();
  });
});
