/** Pure: usage as the section shows it: sums for each group, and columns over time. All days and hours are UTC. */
import type { UsageDimension, UsageMeasures, UsageQuestion, UsageRow } from '../api.ts';

export const GROUPS = ['team', 'key', 'model', 'target', 'day'] as const;
export type Group = (typeof GROUPS)[number];

export const MEASURES = ['tokens', 'requests', 'cost', 'slot_seconds'] as const;
export type Measure = (typeof MEASURES)[number];

export const RANGES = {
  today: 'Today',
  week: '7 days',
  month: '30 days',
  calendar: 'This month',
  custom: 'From … to …',
} as const;
export type RangeName = keyof typeof RANGES;

export interface Range {
  readonly from: Date;
  /** Before. */
  readonly to: Date;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Up to here a column is an hour. */
const HOURS_UP_TO_MS = 2 * DAY_MS;

/** When the UTC day began. */
export function dayOf(time: number): number {
  return Math.floor(time / DAY_MS) * DAY_MS;
}

/** `2026-01-31 (UTC)`, `2026-01-25 to 2026-01-31 (UTC)`: its first and its last day. */
export function daysInWords({ from, to }: Range): string {
  const [first, last] = [from.getTime(), to.getTime() - 1].map((time) =>
    new Date(time).toISOString().slice(0, 10),
  );
  return `${first === last ? first : `${first} to ${last}`} (UTC)`;
}

/** `custom`: its days, both included, as `2026-01-31`. Undefined: they are no range. */
export function rangeOf(
  name: RangeName,
  now: Date,
  custom: { readonly from: string; readonly to: string },
): Range | undefined {
  const today = dayOf(now.getTime());
  const tomorrow = new Date(today + DAY_MS);
  if (name === 'today') return { from: new Date(today), to: tomorrow };
  if (name === 'week') return { from: new Date(today - 6 * DAY_MS), to: tomorrow };
  if (name === 'month') return { from: new Date(today - 29 * DAY_MS), to: tomorrow };
  if (name === 'calendar')
    return { from: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)), to: tomorrow };
  const from = Date.parse(custom.from);
  const to = Date.parse(custom.to) + DAY_MS;
  return from < to ? { from: new Date(from), to: new Date(to) } : undefined;
}

export type Unit = 'hour' | 'day';

export function unitOf({ from, to }: Range): Unit {
  return to.getTime() - from.getTime() <= HOURS_UP_TO_MS ? 'hour' : 'day';
}

export function questionOf(group: Group, range: Range): UsageQuestion {
  const unit = unitOf(range);
  const by: readonly UsageDimension[] = group === 'day' ? [unit] : [group, unit];
  return { by, ...range };
}

export interface Total extends UsageMeasures {
  /** What tells groups apart: of a key its id. Empty: no team, no key, no target. */
  readonly group: string;
  /** As people know it. */
  readonly name: string;
}

/** A sum for each group, the one with the most tokens first; days in their order. */
export function totalsOf(rows: readonly UsageRow[], group: Group): readonly Total[] {
  const totals = new Map<string, Total>();
  for (const row of rows) {
    const id = groupOf(row, group);
    totals.set(id, { group: id, name: nameOf(row, group), ...added(totals.get(id), row) });
  }
  const list = [...totals.values()];
  return group === 'day'
    ? list.sort((one, other) => one.group.localeCompare(other.group))
    : list.sort(
        (one, other) => amountOf(other, 'tokens') - amountOf(one, 'tokens') || other.requests - one.requests,
      );
}

export function sumOf(rows: readonly UsageMeasures[]): UsageMeasures {
  return rows.reduce<UsageMeasures>((sum, row) => added(sum, row), NOTHING);
}

export interface Columns {
  /** Seconds since the epoch: the beginning of each hour or day. */
  readonly at: readonly number[];
  readonly groups: readonly {
    readonly group: string;
    readonly name: string;
    readonly values: readonly number[];
  }[];
}

export const OTHERS = 'others';

/** A column for each hour or day of the range, empty ones too. Of many groups the largest are shown, all others as one. */
export function columnsOf(
  rows: readonly UsageRow[],
  { group, range, measure, most }: { group: Group; range: Range; measure: Measure; most: number },
): Columns {
  const unit = unitOf(range);
  const step = unit === 'hour' ? HOUR_MS : DAY_MS;
  const begin = Math.floor(range.from.getTime() / step) * step;
  const count = Math.max(1, Math.ceil((range.to.getTime() - begin) / step));
  const byGroup = new Map<
    string,
    { readonly group: string; readonly name: string; readonly values: number[] }
  >();
  for (const row of rows) {
    const at = Math.floor((timeOf(row, unit) - begin) / step);
    if (!(at >= 0 && at < count)) continue;
    const id = group === 'day' ? '' : groupOf(row, group);
    const known = byGroup.get(id);
    const values = known?.values ?? new Array<number>(count).fill(0);
    if (known === undefined)
      byGroup.set(id, { group: id, name: group === 'day' ? '' : nameOf(row, group), values });
    values[at] = (values[at] ?? 0) + amountOf(row, measure);
  }
  const sorted = [...byGroup.values()].sort((one, other) => total(other.values) - total(one.values));
  const isAll = sorted.length <= most;
  const shown = isAll ? sorted : sorted.slice(0, most - 1);
  const rest = sorted.slice(shown.length);
  const others = {
    group: OTHERS,
    name: OTHERS,
    values: addUp(
      rest.map(({ values }) => values),
      count,
    ),
  };
  return {
    at: Array.from({ length: count }, (_, at) => (begin + at * step) / 1_000),
    groups: isAll ? shown : [...shown, others],
  };
}

export function amountOf(row: UsageMeasures, measure: Measure): number {
  return measure === 'tokens' ? row.prompt_tokens + row.completion_tokens : row[measure];
}

function groupOf(row: UsageRow, group: Group): string {
  if (group === 'day') return (row.day ?? row.hour ?? '').slice(0, 10);
  return (group === 'key' ? row.key_id : row[group]) ?? '';
}

function nameOf(row: UsageRow, group: Group): string {
  return group === 'day' ? groupOf(row, group) : (row[group] ?? '');
}

/** `2026-01-31`, `2026-01-31T14` or longer. */
function timeOf(row: UsageRow, unit: Unit): number {
  return Date.parse(unit === 'day' ? (row.day ?? '').slice(0, 10) : `${(row.hour ?? '').slice(0, 13)}:00Z`);
}

function added(sum: UsageMeasures = NOTHING, row: UsageMeasures): UsageMeasures {
  return Object.fromEntries(MEASURED.map((name) => [name, sum[name] + row[name]])) as Record<
    Measured,
    number
  >;
}

type Measured = keyof UsageMeasures;

export const NOTHING: UsageMeasures = {
  requests: 0,
  errors: 0,
  rejections: 0,
  prompt_tokens: 0,
  cached_tokens: 0,
  completion_tokens: 0,
  cost: 0,
  slot_seconds: 0,
};

export const MEASURED = Object.keys(NOTHING) as readonly Measured[];

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function addUp(lists: readonly (readonly number[])[], count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => total(lists.map((list) => list[at] ?? 0)));
}
