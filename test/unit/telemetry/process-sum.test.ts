import { describe, expect, it } from 'vitest';
import { ProcessSum, type ReadFamily, readFamilies } from '../../../src/telemetry/process-sum.ts';
import { Counter, exposition, Histogram, type Sample } from '../../../src/telemetry/prometheus.ts';

const family = (changes: Partial<ReadFamily>, ...samples: readonly Sample[]): ReadFamily => ({
  ...{ name: 'm', help: 'h', type: 'gauge', samples },
  ...changes,
});
const one = (value: number, labels: Sample['labels'] = {}): Sample => ({ labels, value });

function valuesOf(sum: ProcessSum): unknown[] {
  return sum.families().flatMap(({ name, samples }) => samples().map((sample) => ({ name, ...sample })));
}

describe('the metrics of several processes', () => {
  it('have the sum of each set of labels, whatever the order of the labels', () => {
    const sum = new ProcessSum();
    sum.set('control', [family({ type: 'counter' }, one(1, { a: 'x', b: 'y' }))]);
    sum.set('worker 1', [family({ type: 'counter' }, one(2, { b: 'y', a: 'x' }), one(5, { a: 'z' }))]);
    expect(valuesOf(sum)).toEqual([
      { name: 'm', labels: { a: 'x', b: 'y' }, value: 3 },
      { name: 'm', labels: { a: 'z' }, value: 5 },
    ]);
  });

  it('add up the buckets of histograms, in their order', () => {
    const sum = new ProcessSum();
    for (const [process, value] of [['1', 0.5] as const, ['2', 1.5] as const]) {
      const histogram = new Histogram({ name: 'seconds', help: 'h', buckets: [1, 2] });
      histogram.observe(value, 'm');
      sum.set(process, readFamilies([histogram]));
    }
    expect(exposition(sum.families())).toBe(
      [
        '# HELP seconds h',
        '# TYPE seconds histogram',
        'seconds_bucket{le="1",model="m"} 1',
        'seconds_bucket{le="2",model="m"} 2',
        'seconds_bucket{le="+Inf",model="m"} 2',
        'seconds_sum{model="m"} 2',
        'seconds_count{model="m"} 2',
        '',
      ].join('\n'),
    );
  });

  it('have the greatest, the least, or that of each process, where a sum would mean nothing', () => {
    const sum = new ProcessSum();
    for (const [process, value] of [['1', 7] as const, ['2', 3] as const])
      sum.set(process, [
        family({ name: 'oldest', across: 'max' }, one(value)),
        family({ name: 'up', across: 'min' }, one(value)),
        family({ name: 'memory', across: 'each' }, one(value)),
      ]);
    expect(valuesOf(sum)).toEqual([
      { name: 'oldest', labels: {}, value: 7 },
      { name: 'up', labels: {}, value: 3 },
      { name: 'memory', labels: { process: '1' }, value: 7 },
      { name: 'memory', labels: { process: '2' }, value: 3 },
    ]);
  });

  it('keep what an ended process had counted, and drop its gauges', () => {
    const sum = new ProcessSum();
    const counter = new Counter({ name: 'requests', help: 'h', labels: ['status'] });
    for (const process of ['1', '2', '3']) {
      counter.add(10, '200');
      sum.set(process, [...readFamilies([counter]), family({ name: 'connections' }, one(4))]);
      if (process !== '3') sum.end(process);
    }
    expect(valuesOf(sum)).toEqual([
      { name: 'requests', labels: { status: '200' }, value: 10 + 20 + 30 },
      { name: 'connections', labels: {}, value: 4 },
    ]);
  });
});
