import { describe, expect, it } from 'vitest';
import { AmountWindows } from '../../../src/limits/amount-windows.ts';
import { CellBlocks } from '../../../src/limits/cell-blocks.ts';
import { CounterRecords, NONE, SUM } from '../../../src/limits/counter-records.ts';

function opened() {
  const records = new CounterRecords();
  return { records, windows: new AmountWindows(records) };
}

describe('the window of a counter', () => {
  it('of amounts has at most 1,002 entries where they are joined by the thousandth of it', () => {
    const { records, windows } = opened();
    const counter = records.open(0);
    for (let now = 0; now < 35_000; now += 0.7) {
      windows.expire(counter, now, 10_000);
      windows.add(counter, now, 3, 10);
    }
    expect(windows.entries(counter)).toBeLessThanOrEqual(1002);
  });

  it('keeps more than a hundred thousand, each until it leaves', () => {
    const { records, windows } = opened();
    const counter = records.open(0);
    for (let now = 1; now <= 100_000; now += 1) windows.add(counter, now, 1, 0);
    windows.expire(counter, 100_500, 100_000);
    expect([windows.entries(counter), records.number(counter, SUM)]).toEqual([99_500, 99_500]);
    expect(windows.waitMs(counter, 500, 100_500, 100_000)).toBe(500);
  });

  it('is empty for another that gets its number, or its memory', () => {
    const { records, windows } = opened();
    const first = records.open(0);
    for (let now = 0; now < 100; now += 1) windows.add(first, now, 1, 0);
    windows.clear(first);
    records.close(first);
    const second = records.open(0);
    expect(second).toBe(first);
    expect([windows.entries(second), records.number(second, SUM)]).toEqual([0, 0]);
    windows.add(second, 1000, 2, 0);
    windows.expire(second, 1099, 100);
    expect([windows.entries(second), records.number(second, SUM)]).toEqual([1, 2]);
  });

  it('is not moved by those that are opened beside it', () => {
    const { records, windows } = opened();
    const counters = Array.from({ length: 1000 }, () => records.open(0));
    for (const counter of counters) windows.add(counter, 1, counter, 0);
    const more = Array.from({ length: 1000 }, () => records.open(0));
    expect(new Set([...counters, ...more, NONE]).size).toBe(2001);
    expect(counters.map((counter) => records.number(counter, SUM))).toEqual(counters);
  });
});

describe('blocks of cells', () => {
  it('never overlap, and are used again for the same size', () => {
    const blocks = new CellBlocks();
    const sizes = Array.from({ length: 300 }, (_, index) => 2 ** (3 + (index % 15)));
    const taken = sizes.map((size) => blocks.take(size));
    const fill = (index: number) => {
      const [address = 0, size = 0] = [taken[index], sizes[index]];
      const begin = blocks.beginOf(address);
      blocks.cellsOf(address).fill(index, begin, begin + size);
    };
    taken.forEach((_, index) => {
      fill(index);
    });
    taken.forEach((address, index) => {
      const begin = blocks.beginOf(address);
      const cells = blocks.cellsOf(address).subarray(begin, begin + (sizes[index] ?? 0));
      expect(cells.length).toBe(sizes[index]);
      expect(cells.every((cell) => cell === index)).toBe(true);
    });
    blocks.giveBack(taken[7] ?? 0, sizes[7] ?? 0);
    expect(blocks.take(sizes[7] ?? 0)).toBe(taken[7]);
  });
});
