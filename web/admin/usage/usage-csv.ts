/** Pure: usage as a CSV file (RFC 4180), a row for each row of the answer. The same bytes as `llm-serve usage --csv` (src/cli/usage-text.ts). */
import type { UsageAnswer, UsageDimension } from '../api.ts';
import { MEASURED } from './usage-report.ts';

export function usageCsv({ rows, currency }: UsageAnswer, by: readonly UsageDimension[]): string {
  const dimensions = by.flatMap((name) => (name === 'key' ? (['key', 'key_id'] as const) : [name]));
  const lines = [
    [...dimensions, ...MEASURED, 'currency'],
    ...rows.map((row) => [
      ...dimensions.map((name) => cell(row[name] ?? '')),
      ...MEASURED.map((name) => row[name]),
      cell(currency),
    ]),
  ];
  return lines.map((line) => `${line.join()}\r\n`).join('');
}

/** Spreadsheets run text that begins so as a formula, and anybody may have named a key or asked for a model. */
const FORMULA = /^[=+\-@\t\r]/;
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

function cell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return NEEDS_QUOTES.test(safe) || safe !== text ? `"${safe.replaceAll('"', '""')}"` : safe;
}
