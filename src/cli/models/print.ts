/** Lines, tables and JSON on standard output. Names in them come from files and servers. */
import { printableLine, printableText } from '../../core/printable-text.ts';

export function printLine(line: string): void {
  process.stdout.write(`${printableLine(line)}\n`);
}

export function printJson(value: unknown): void {
  // What it leaves as it is may be written as an escape in any of its strings.
  process.stdout.write(`${printableText(JSON.stringify(value, null, 2))}\n`);
}

/** Columns as wide as their longest cell. */
export function printTable(heading: readonly string[], cells: readonly (readonly string[])[]): void {
  const rows = cells.map((row) => row.map(printableLine));
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [heading, ...rows]) {
    printLine(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

export function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
