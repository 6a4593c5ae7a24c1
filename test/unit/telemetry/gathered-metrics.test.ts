import { expect, test } from 'vitest';
import { GatheredMetrics } from '../../../src/telemetry/gathered-metrics.ts';
import type { ReadFamily } from '../../../src/telemetry/process-sum.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function counter(value: number): readonly ReadFamily[] {
  return [{ name: 'requests_total', help: 'R.', type: 'counter', samples: [{ labels: {}, value }] }];
}

function start() {
  const clock = new FakeClock();
  const others = new Map<string, number>();
  let reads = 0;
  const metrics = new GatheredMetrics({
    clock,
    own: { read: () => [{ ...counter(0)[0], samples: () => [] } as never] },
    askOthers: async (set) => {
      reads += 1;
      for (const [name, value] of others) set(name, JSON.parse(JSON.stringify(counter(value))));
    },
  });
  const value = async () => Number(/^requests_total (\S+)$/m.exec(await metrics.text())?.[1]);
  return { clock, metrics, others, value, reads: () => reads };
}

test('it is the sum of all; one that does not answer counts as it was last read', async () => {
  const { others, value, metrics } = start();
  others.set('worker 1', 3);
  others.set('worker 2', 4);
  expect(await value()).toBe(7);
  others.delete('worker 2');
  others.set('worker 1', 5);
  expect(await value()).toBe(9);
  metrics.close();
});

test('what a dead worker had counted stays, as it was read a moment before', async () => {
  const { clock, others, value, metrics } = start();
  others.set('worker 1', 3);
  others.set('worker 2', 4);
  await value();
  others.set('worker 2', 10);
  await clock.advance(2000);
  others.delete('worker 2');
  metrics.ended('worker 2');
  expect(await value()).toBe(13);
  others.set('worker 2', 1);
  expect(await value(), 'its successor begins at nothing').toBe(14);
  metrics.close();
});

test('without a scrape nobody is asked, and no longer than five minutes after the last', async () => {
  const { clock, value, reads, metrics } = start();
  await clock.advance(60_000);
  expect(reads()).toBe(0);
  await value();
  await clock.advance(600_000);
  expect(reads()).toBeGreaterThan(100);
  const before = reads();
  await clock.advance(600_000);
  expect(reads()).toBe(before);
  await value();
  metrics.close();
  await clock.advance(10_000);
  expect(reads()).toBe(before + 1);
});

test('a value that is no number is none in the sum either', async () => {
  const { others, value, metrics } = start();
  others.set('worker 1', Number.NaN);
  expect(await value()).toBeNaN();
  metrics.close();
});

test('all who ask while the others are asked share one page, so that the others are asked once', async () => {
  const { others, value, reads, metrics } = start();
  others.set('worker 1', 3);
  const values = await Promise.all(Array.from({ length: 100 }, () => value()));
  expect(new Set(values)).toEqual(new Set([3]));
  expect(reads()).toBe(1);
  metrics.close();
});
