/** Pure: usage as a CSV file (RFC 4180), a row for each row of the answer. */
import type { UsageDimension, UsageRow } from '../api.ts';
import { MEASURED } from './usage-report.ts';

export function usageCsv(rows: readonly UsageRow[], by: readonly UsageDimension[]): string {
  const lines = [
    [...by, ...MEASURED],
    ...rows.map((row) => [...by.map((name) => cell(row[name] ?? '')), ...MEASURED.map((name) => row[name])]),
  ];
  return `${lines.map((line) => line.join()).join('\r\n')}\r\n`;
}

/** Spreadsheets run text that begins so as a formula, and anybody may have named a key or asked for a model. */
const FORMULA = /^[=+\-@\t\r]/;

function cell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
