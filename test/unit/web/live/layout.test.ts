/** Where the Live view draws lanes, and what a pointer or the arrow keys find there. */
import { describe, expect, it } from 'vitest';
import { Bars } from '../../../../web/live/bars.ts';
import {
  barAt,
  busyAt,
  lanesIn,
  layoutOf,
  nextBar,
  targetsShown,
  ticksOf,
  xOf,
} from '../../../../web/live/layout.ts';
import { attempt, receipt, running, snapshotAt, targetOf, waiting } from '../../../support/live-snapshots.ts';

const AXIS = { edge: 10_000, rangeMs: 10_000, width: 1_000 };

function example() {
  const bars = new Bars();
  const at = (enqueued_at_ms: number) => ({
    enqueued_at_ms,
    started_at_ms: enqueued_at_ms,
    received_at_ms: enqueued_at_ms,
  });
  const done = receipt('early', {
    ...{ received_at_ms: 1_000, ended_at_ms: 3_000 },
    attempts: [attempt({ enqueued_at_ms: 1_000, started_at_ms: 1_000, ended_at_ms: 3_000 })],
  });
  bars.apply(
    snapshotAt(10_000, {
      ended: [done],
      running: [
        running('first', at(4_000)),
        running('second', { ...at(6_000), slot: 1 }),
        running('other', { ...at(5_000), target: 'two' }),
      ],
      queue: [waiting('waits', { enqueued_at_ms: 8_000, received_at_ms: 8_000 })],
    }),
  );
  const layout = layoutOf(
    1,
    [
      { name: 'one', lanes: 2 },
      { name: 'two', lanes: 2 },
    ],
    400,
  );
  const named = (id: string) => bars.ofRequest(`req_${id}`)[0];
  const at2 = (group: number, lane: number) =>
    layout.groups[group]!.top + lane * layout.groups[group]!.pitch + 3;
  return { bars, layout, named, y: at2 };
}

describe('lanes', () => {
  it('lie below each other, the queue first, and end with room for the axis', () => {
    const { groups, height, dense } = layoutOf(
      3,
      [
        { name: 'one', lanes: 4 },
        { name: 'two', lanes: 4 },
      ],
      400,
    );
    expect(dense).toBe(false);
    groups.slice(1).forEach((group, at) => {
      expect(group.top).toBeGreaterThan(groups[at]!.top + groups[at]!.height);
    });
    expect(height).toBeGreaterThan(groups.at(-1)!.top + groups.at(-1)!.height);
  });

  it('become thin, but stay visible, with hundreds of slots', () => {
    const { groups, dense } = layoutOf(
      200,
      [
        { name: 'one', lanes: 256 },
        { name: 'two', lanes: 256 },
      ],
      400,
    );
    expect(dense).toBe(true);
    for (const { thickness } of groups) expect(thickness).toBeGreaterThanOrEqual(1);
    expect(groups[0]!.lanes * groups[0]!.pitch).toBeLessThanOrEqual(groups[0]!.height);
  });

  it('do not move when the queue fills', () => {
    const top = (lanes: number) => layoutOf(lanes, [{ name: 'one', lanes: 4 }], 400).groups[1]!.top;
    expect(top(0)).toBe(top(60));
  });
});

it('a group has the lanes that the axis shows, not those of long ago', () => {
  const { bars } = example();
  expect([...lanesIn(bars.all, AXIS)].sort()).toEqual(
    [
      [null, 1],
      ['one', 2],
      ['two', 1],
    ].sort(),
  );
  bars.apply(snapshotAt(12_000));
  expect(lanesIn(bars.all, { ...AXIS, edge: 60_000 }).size).toBe(0);
});

it('a target that the server has no more is shown as long as it has bars', () => {
  const { bars } = example();
  const shown = (edge: number) =>
    targetsShown([targetOf('one', { slots: 1 })], lanesIn(bars.all, { ...AXIS, edge })).map(
      ({ name, lanes, now }) => [name, lanes, now !== undefined],
    );
  expect(shown(10_000)).toEqual([
    ['one', 2, true],
    ['two', 1, false],
  ]);
  bars.apply(snapshotAt(12_000));
  expect(shown(60_000)).toEqual([['one', 1, true]]);
});

it('what waited and ran at a time before is counted', () => {
  const { bars } = example();
  expect([...busyAt(bars.all, 2_000)]).toEqual([['one', 1]]);
  expect([...busyAt(bars.all, 9_000)]).toEqual([
    ['one', 2],
    ['two', 1],
    [null, 1],
  ]);
});

describe('a pointer', () => {
  it('finds the bar under it, in its lane and at its time', () => {
    const { bars, layout, named, y } = example();
    const at = (time: number, row: number) => barAt(bars.all, layout, AXIS, { x: xOf(time, AXIS), y: row });
    expect(at(2_000, y(1, 0))).toBe(named('early'));
    expect(at(5_000, y(1, 0))).toBe(named('first'));
    expect(at(7_000, y(1, 1))).toBe(named('second'));
    expect(at(7_000, y(2, 0))).toBe(named('other'));
    expect(at(9_000, y(0, 0))).toBe(named('waits'));
  });

  it('finds nothing where nothing is, but a short bar a little beside it', () => {
    const { bars, layout, named, y } = example();
    expect(barAt(bars.all, layout, AXIS, { x: xOf(3_500, AXIS), y: y(1, 0) })).toBeUndefined();
    expect(barAt(bars.all, layout, AXIS, { x: xOf(3_030, AXIS), y: y(1, 0) })).toBe(named('early'));
    expect(barAt(bars.all, layout, AXIS, { x: 500, y: 2 })).toBeUndefined();
  });
});

describe('the arrow keys', () => {
  it('lead along a lane and to the lanes beside it, also into the queue', () => {
    const { bars, layout, named } = example();
    const from = (id: string, direction: 'left' | 'right' | 'up' | 'down') =>
      nextBar(bars.all, layout, AXIS, named(id), direction);
    expect(nextBar(bars.all, layout, AXIS, undefined, 'left')).toBe(named('waits'));
    expect(from('first', 'left')).toBe(named('early'));
    expect(from('early', 'right')).toBe(named('first'));
    expect(from('early', 'left')).toBeUndefined();
    expect(from('first', 'down')).toBe(named('second'));
    expect(from('second', 'down')).toBe(named('other'));
    expect(from('first', 'up')).toBe(named('waits'));
    expect(from('waits', 'up')).toBeUndefined();
  });
});

it('the axis has as many times as its width has room for', () => {
  for (const rangeMs of [15_000, 60_000, 300_000])
    for (const width of [300, 900, 1_800]) {
      const ticks = ticksOf({ edge: 1_000_000, rangeMs, width });
      expect(ticks.length).toBeGreaterThan(1);
      for (const [at, tick] of ticks.slice(1).entries())
        expect(((tick - ticks[at]!) / rangeMs) * width).toBeGreaterThanOrEqual(80);
    }
});
