// Keeps the raw JSON of the last run of each benchmark, and writes docs/benchmarks.md's tables and charts from it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { saveCharts } from './chart/chart-files.mjs';

const PAGE = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));
const resultFile = (name) => fileURLToPath(new URL(`results/${name}.json`, import.meta.url));

export function save(name, result) {
  mkdirSync(fileURLToPath(new URL('results', import.meta.url)), { recursive: true });
  writeFileSync(resultFile(name), `${JSON.stringify(withResult(saved(name), result), null, 2)}\n`);
}

/** Beside the results of other Nodes, instead of an earlier one of the same major version. */
export function withResult(results, result) {
  const others = results.filter(({ versions }) => majorOf(versions) !== majorOf(result.versions));
  return [...others, result].sort((a, b) => majorOf(a.versions) - majorOf(b.versions));
}

function saved(name) {
  return existsSync(resultFile(name)) ? JSON.parse(readFileSync(resultFile(name), 'utf8')) : [];
}

const majorOf = ({ node }) => Number(node.split('.')[0]);

/** The tables of every benchmark that has results, between its two markers, and its charts. */
export function publish(benchmarks) {
  let page = readFileSync(PAGE, 'utf8');
  for (const [name, { report, charts }] of Object.entries(benchmarks)) {
    const results = saved(name);
    if (results.length === 0) continue;
    const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
    const from = page.indexOf(begin);
    const to = page.indexOf(end);
    if (from === -1 || to < from) throw new Error(`docs/benchmarks.md lacks ${begin} … ${end}`);
    if (charts) saveCharts(charts(results[0]));
    const blocks = results.map((result) => {
      const heading = results.length > 1 ? `### On Node ${result.versions.node}\n\n` : '';
      return `${heading}${render(result, report)}`;
    });
    page = `${page.slice(0, from)}${begin}\n\n${blocks.join('\n\n')}\n\n${page.slice(to)}`;
  }
  writeFileSync(PAGE, page);
}

export function render(result, report) {
  const { machine, versions, settings } = result;
  const list = (fields) =>
    Object.entries(fields)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  const origin = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    `load average before: ${machine.loadAverage.toFixed(1)}`,
    list(versions),
    list(settings),
    `${result.date}, \`${result.command}\``,
  ];
  return `${report(result)}\n\n${origin.join('; ')}.`;
}
