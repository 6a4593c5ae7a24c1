/** Usage as people read it in a terminal, and as spreadsheets do. Pure. */
import { durationText } from '../core/duration-text.ts';
import { printableLine } from '../core/log.ts';
import { type Alignment, table } from '../core/text-columns.ts';
import { type ShownUsage, sumOfUsage, type UsageReport } from '../usage/usage-report.ts';
import type { UsageDimension } from '../usage/usage-row.ts';

/** What a dimension is where it has no value. */
const NONE: Readonly<Record<UsageDimension, string>> = {
  key: '(no key)',
  team: '(no team)',
  model: '(unknown)',
  target: '(none)',
  day: '',
  hour: '',
};

/** A line for each row, their sum, and what they are of. */
export function usageTable(report: UsageReport, by: readonly UsageDimension[]): readonly string[] {
  const { currency, from, to, rows } = report;
  const span = `${timeText(from)} to ${timeText(to)} UTC`;
  if (rows.length === 0) return [`No requests to models from ${span}.`];
  const sum = sumOfUsage(rows);
  const costText = costTextOf(sum.cost);
  const measures = (row: ShownUsage) => [
    countText(row.requests),
    countText(row.errors),
    countText(row.rejections),
    countText(row.prompt_tokens),
    countText(row.cached_tokens),
    countText(row.completion_tokens),
    ...(sum.cost > 0 ? [costText(row.cost)] : []),
    durationText(row.slot_seconds * 1000),
  ];
  const names = by.length === 0 ? [''] : by.map((dimension) => dimension.toUpperCase());
  const head = [...names, 'REQUESTS', 'ERRORS', 'REJECTED', 'PROMPT', 'CACHED', 'COMPLETION'];
  const lines = table(
    [
      [...head, ...(sum.cost > 0 ? [`COST (${printableLine(currency)})`] : []), 'SLOTS'],
      ...(by.length === 0 ? [] : rows.map((row) => [...dimensionsOf(row, by), ...measures(row)])),
      [...names.map((_, index) => (index === 0 ? 'all' : '')), ...measures(sum)],
    ],
    (column): Alignment => (column < names.length ? 'left' : 'right'),
  );
  return [...lines, `From ${span}. PROMPT, CACHED and COMPLETION are tokens.`];
}

function dimensionsOf(row: ShownUsage, by: readonly UsageDimension[]): readonly string[] {
  return by.map((dimension) => printableLine(row[dimension] ?? NONE[dimension]));
}

/** `2026-01-31 12:00` */
function timeText(iso: string): string {
  return iso.slice(0, 'YYYY-MM-DDTHH:MM'.length).replace('T', ' ');
}

const counts = new Intl.NumberFormat('en-US');

function countText(value: number): string {
  return counts.format(value);
}

/** So many decimals that small parts of the sum are still seen. */
function costTextOf(sum: number): (cost: number) => string {
  const digits = sum >= 1000 ? 2 : sum >= 1 ? 4 : 6;
  const format = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return (cost) => format.format(cost);
}

const MEASURES = [
  'requests',
  'errors',
  'rejections',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'cost',
  'slot_seconds',
] as const satisfies readonly (keyof ShownUsage)[];

/** RFC 4180, the first line with the names of the columns. */
export function usageCsv({ rows, currency }: UsageReport, by: readonly UsageDimension[]): string {
  const dimensions = by.flatMap((dimension) =>
    dimension === 'key' ? (['key', 'key_id'] as const) : [dimension],
  );
  const lines = [
    [...dimensions, ...MEASURES, 'currency'],
    ...rows.map((row) => [
      ...dimensions.map((dimension) => csvText(row[dimension] ?? '')),
      ...MEASURES.map((measure) => String(row[measure])),
      csvText(currency),
    ]),
  ];
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}

/** What spreadsheets take for a formula. */
const FORMULA = /^[=+\-@\t\r]/;
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

/** A name that a spreadsheet would run is text to it behind an apostrophe. */
function csvText(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return NEEDS_QUOTES.test(safe) || safe !== text ? `"${safe.replaceAll('"', '""')}"` : safe;
}
