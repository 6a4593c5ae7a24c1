/** Pure: where the lanes are drawn, what lies under a point, and which bar the arrow keys lead to. Lengths are CSS pixels. */
import type { LiveTarget } from '../../src/core/live-snapshot.ts';
import type { Bar } from './bars.ts';

/** Above each group, for its name. */
export const HEAD = 22;
export const AXIS = 20;
const GROUP_GAP = 8;
/** All lanes of the queue, however many: so that nothing moves when it fills. */
const QUEUE_HEIGHT = 72;
const QUEUE_PITCH = { least: 0, most: 9 } as const;
const TARGET_PITCH = { least: 3, most: 22 } as const;

/** A time and the width that shows it: the right side is `edge`. */
export interface TimeAxis {
  readonly edge: number;
  readonly rangeMs: number;
  readonly width: number;
}

export interface Group {
  /** Null: the queue. */
  readonly target: string | null;
  readonly top: number;
  readonly lanes: number;
  /** From one lane to the next. */
  readonly pitch: number;
  /** Of a bar. */
  readonly thickness: number;
  readonly height: number;
}

export interface Layout {
  readonly groups: readonly Group[];
  readonly height: number;
  /** Lanes are too thin for marks and text. */
  readonly dense: boolean;
}

export interface TargetLanes {
  readonly name: string;
  /** Slots that it has, or had in the time that is shown. */
  readonly lanes: number;
}

/** A target that the server has no more is shown below the others, as long as it has bars. */
export interface ShownTarget extends TargetLanes {
  /** Undefined: the server has it no more. */
  readonly now: LiveTarget | undefined;
}

/** `lanes`: as `lanesIn` has them. */
export function targetsShown(
  targets: readonly LiveTarget[],
  lanes: ReadonlyMap<string | null, number>,
): readonly ShownTarget[] {
  const known = new Set<string | null>(targets.map(({ name }) => name));
  return [
    ...targets.map((now) => ({ name: now.name, lanes: Math.max(now.slots, lanes.get(now.name) ?? 0), now })),
    ...[...lanes].flatMap(([name, count]) =>
      name === null || known.has(name) ? [] : [{ name, lanes: count, now: undefined }],
    ),
  ];
}

/** Bars that wait or run in a part of the time that the axis shows. */
export function barsIn(bars: Iterable<Bar>, { edge, rangeMs }: TimeAxis): readonly Bar[] {
  const from = edge - rangeMs;
  const shown: Bar[] = [];
  for (const bar of bars)
    if (bar.enqueuedAt <= edge && (bar.endedAt === null || bar.endedAt >= from)) shown.push(bar);
  return shown;
}

/** `room`: for all targets together; with very many slots they take more. */
export function layoutOf(queueLanes: number, targets: readonly TargetLanes[], room: number): Layout {
  const groups: Group[] = [];
  const queuePitch = clamp(QUEUE_HEIGHT / Math.max(1, queueLanes), QUEUE_PITCH);
  let top = HEAD;
  groups.push({
    target: null,
    top,
    lanes: queueLanes,
    pitch: queuePitch,
    thickness: thicknessOf(queuePitch),
    height: QUEUE_HEIGHT,
  });
  top += QUEUE_HEIGHT + GROUP_GAP;
  const lanes = targets.reduce((sum, target) => sum + target.lanes, 0);
  const pitch = clamp(Math.floor(room / Math.max(1, lanes)), TARGET_PITCH);
  for (const { name, lanes: count } of targets) {
    top += HEAD;
    const height = Math.max(1, count) * pitch;
    groups.push({ target: name, top, lanes: count, pitch, thickness: thicknessOf(pitch), height });
    top += height + GROUP_GAP;
  }
  return { groups, height: top + AXIS, dense: pitch < 8 };
}

function thicknessOf(pitch: number): number {
  if (pitch >= 8) return pitch - 3;
  return pitch >= 3 ? pitch - 1 : Math.max(1, pitch);
}

/** Of the queue under null, and of each target: lanes that the axis shows something in. */
export function lanesIn(
  bars: Iterable<Bar>,
  { edge, rangeMs }: TimeAxis,
): ReadonlyMap<string | null, number> {
  const counts = new Map<string | null, number>();
  const from = edge - rangeMs;
  const count = (group: string | null, lane: number | null, end: number | null) => {
    if (lane !== null && (end ?? edge) >= from && lane >= (counts.get(group) ?? 0))
      counts.set(group, lane + 1);
  };
  for (const { target, lane, queueLane, enqueuedAt, startedAt, endedAt } of bars) {
    if (enqueuedAt <= edge) count(null, queueLane, startedAt ?? endedAt);
    if (target !== null && startedAt !== null && startedAt <= edge) count(target, lane, endedAt);
  }
  return counts;
}

/** How many waited, under null, and how many ran at each target. */
export function busyAt(bars: Iterable<Bar>, time: number): ReadonlyMap<string | null, number> {
  const counts = new Map<string | null, number>();
  const count = (group: string | null, from: number, to: number | null) => {
    if (from <= time && time < (to ?? Number.POSITIVE_INFINITY))
      counts.set(group, (counts.get(group) ?? 0) + 1);
  };
  for (const { target, queueLane, enqueuedAt, startedAt, endedAt } of bars) {
    if (queueLane !== null) count(null, enqueuedAt, startedAt ?? endedAt);
    if (target !== null && startedAt !== null) count(target, startedAt, endedAt);
  }
  return counts;
}

function clamp(value: number, { least, most }: { readonly least: number; readonly most: number }): number {
  return Math.min(most, Math.max(least, value));
}

export function xOf(time: number, { edge, rangeMs, width }: TimeAxis): number {
  return width - ((edge - time) / rangeMs) * width;
}

function timeAt(x: number, { edge, rangeMs, width }: TimeAxis): number {
  return edge - ((width - x) / width) * rangeMs;
}

/** Where a bar is in a group; undefined: it is not in it, or not in what the axis shows. */
export function stretchIn(
  group: Group,
  bar: Bar,
  axis: TimeAxis,
): { from: number; to: number; lane: number } | undefined {
  const [lane, start, end] =
    group.target === null
      ? [bar.queueLane, bar.enqueuedAt, bar.startedAt ?? bar.endedAt]
      : [bar.lane, bar.startedAt, bar.endedAt];
  if (lane === null || start === null || start > axis.edge) return undefined;
  if (group.target !== null && bar.target !== group.target) return undefined;
  const to = Math.min(end ?? axis.edge, axis.edge);
  if (to < axis.edge - axis.rangeMs) return undefined;
  return { from: start, to, lane };
}

/** The bar at a point, or close to it: a short one is hard to hit. */
export function barAt(
  bars: Iterable<Bar>,
  { groups }: Layout,
  axis: TimeAxis,
  { x, y }: { readonly x: number; readonly y: number },
): Bar | undefined {
  const group = groups.find(({ top, height }) => y >= top - 2 && y < top + height + 2);
  if (group === undefined) return undefined;
  const lane = Math.floor((y - group.top) / group.pitch);
  // A thin lane cannot be aimed at exactly.
  const reach = Math.max(0, Math.ceil(4 / group.pitch) - 1);
  const time = timeAt(x, axis);
  const tolerance = (4 / axis.width) * axis.rangeMs;
  let best: { bar: Bar; distance: number } | undefined;
  for (const bar of bars) {
    const stretch = stretchIn(group, bar, axis);
    if (stretch === undefined || Math.abs(stretch.lane - lane) > reach) continue;
    const off = Math.max(stretch.from - time, time - stretch.to, 0);
    if (off > tolerance) continue;
    const distance = off + Math.abs(stretch.lane - lane) * tolerance;
    if (best === undefined || distance < best.distance) best = { bar, distance };
  }
  return best?.bar;
}

export type Direction = 'left' | 'right' | 'up' | 'down';

/** From a bar to the next in its lane, or to the one beside it in the lane above or below. Without a bar: the newest. */
export function nextBar(
  bars: Iterable<Bar>,
  { groups }: Layout,
  axis: TimeAxis,
  from: Bar | undefined,
  direction: Direction,
): Bar | undefined {
  const places = [...bars].flatMap((bar) => {
    const inGroup = groups.findIndex((group) => {
      const isPlace = group.target === null ? bar.startedAt === null : true;
      return isPlace && stretchIn(group, bar, axis) !== undefined;
    });
    const group = groups[inGroup];
    const stretch = group && stretchIn(group, bar, axis);
    if (group === undefined || stretch === undefined) return [];
    return [{ bar, row: group.top + stretch.lane * group.pitch, ...stretch }];
  });
  const here = places.find(({ bar }) => bar === from);
  if (here === undefined) return places.reduce((a, b) => (a && a.from >= b.from ? a : b), places[0])?.bar;
  const middle = (one: { from: number; to: number }) => (one.from + one.to) / 2;
  const best = (list: typeof places, distance: (one: (typeof places)[number]) => number) =>
    list.reduce<(typeof places)[number] | undefined>(
      (a, b) => (a !== undefined && distance(a) <= distance(b) ? a : b),
      undefined,
    )?.bar;
  if (direction === 'left')
    return best(
      places.filter((one) => one.row === here.row && one.from < here.from),
      (one) => here.from - one.from,
    );
  if (direction === 'right')
    return best(
      places.filter((one) => one.row === here.row && one.from > here.from),
      (one) => one.from - here.from,
    );
  const rows = places
    .map(({ row }) => row)
    .filter((row) => (direction === 'up' ? row < here.row : row > here.row));
  if (rows.length === 0) return undefined;
  const row = direction === 'up' ? Math.max(...rows) : Math.min(...rows);
  return best(
    places.filter((one) => one.row === row),
    (one) => Math.abs(middle(one) - middle(here)),
  );
}

/** Times of the axis, at a step that fits its width. */
export function ticksOf({ edge, rangeMs, width }: TimeAxis): readonly number[] {
  const most = Math.max(2, Math.floor(width / 90));
  const step = STEPS_MS.find((ms) => rangeMs / ms <= most) ?? 60_000;
  const ticks: number[] = [];
  for (let time = Math.ceil((edge - rangeMs) / step) * step; time <= edge; time += step) ticks.push(time);
  return ticks;
}

const STEPS_MS = [1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000];
