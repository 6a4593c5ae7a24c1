// Writes charts to docs/charts/, where docs/benchmarks.md shows them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../docs/charts/', import.meta.url);

/** `charts`: SVG text by the name of its file. */
export function saveCharts(charts) {
  mkdirSync(fileURLToPath(FOLDER), { recursive: true });
  for (const [name, svg] of Object.entries(charts)) {
    writeFileSync(fileURLToPath(new URL(`${name}.svg`, FOLDER)), svg);
  }
}
