/** Lines of the queue in the Live view: stable, as few as possible, and never two bars over each other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lanes, overlaps } from '../../../../web/live/lanes.ts';

describe('lanes', () => {
  it('a bar gets the lowest lane that is free, and the lane of one that has ended is free', () => {
    const lanes = new Lanes();
    expect(lanes.place('a', { start: 0, end: null })).toBe(0);
    expect(lanes.place('b', { start: 5, end: null })).toBe(1);
    expect(lanes.place('a', { start: 0, end: 10 })).toBe(0);
    expect(lanes.place('c', { start: 10, end: null })).toBe(0);
  });

  it('a bar that becomes known late is placed around those that are there', () => {
    const lanes = new Lanes();
    lanes.place('late', { start: 100, end: null });
    expect(lanes.place('before', { start: 20, end: 100 })).toBe(0);
    expect(lanes.place('across', { start: 50, end: 150 })).toBe(1);
  });

  it('a bar moves if it turns out to have ended after the next one in its lane began', () => {
    const lanes = new Lanes();
    lanes.place('a', { start: 0, end: 10 });
    lanes.place('b', { start: 10, end: null });
    expect(lanes.place('a', { start: 0, end: 12 })).toBe(1);
    expect(lanes.laneOf('b')).toBe(0);
  });

  it('a bar that is deleted leaves its lane free', () => {
    const lanes = new Lanes();
    lanes.place('a', { start: 0, end: null });
    lanes.delete('a');
    lanes.delete('unknown');
    expect(lanes.laneOf('a')).toBeUndefined();
    expect(lanes.place('b', { start: 0, end: null })).toBe(0);
  });

  it('never draws two bars over each other, whatever becomes known in which order', () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 30 }).map(String),
      start: fc.integer({ min: 0, max: 100 }),
      length: fc.option(fc.integer({ min: 1, max: 40 }), { nil: null }),
      deleted: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const lanes = new Lanes();
        const known = new Map<string, { start: number; end: number | null }>();
        for (const { key, start, length, deleted } of steps) {
          if (deleted) {
            lanes.delete(key);
            known.delete(key);
            continue;
          }
          const stretch = { start, end: length === null ? null : start + length };
          lanes.place(key, stretch);
          known.set(key, stretch);
          for (const [one, first] of known)
            for (const [other, second] of known)
              if (one < other && lanes.laneOf(one) === lanes.laneOf(other))
                expect(overlaps(first, second)).toBe(false);
        }
      }),
    );
  });

  it('needs no more lanes than ran at the same time, as long as starts become known in order', () => {
    const requests = fc.array(
      fc.record({ gap: fc.integer({ min: 0, max: 5 }), length: fc.integer({ min: 1, max: 30 }) }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(requests, (list) => {
        const lanes = new Lanes();
        let start = 0;
        const used = new Set<number>();
        const placed = list.map(({ gap, length }) => {
          start += gap;
          return { start, end: start + length };
        });
        placed.forEach((stretch, at) => {
          used.add(lanes.place(String(at), stretch));
        });
        const most = placed.map(
          ({ start: at }) => placed.filter((one) => one.start <= at && at < one.end).length,
        );
        expect(used.size).toBe(Math.max(0, ...most));
      }),
    );
  });
});
