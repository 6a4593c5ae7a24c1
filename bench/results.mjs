// Keeps the raw JSON of the last run of each benchmark, and writes docs/benchmarks.md's tables and charts from it.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { saveCharts } from './chart-files.mjs';
import { targetsTable } from './targets.mjs';

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
  let page = withSection(readFileSync(PAGE, 'utf8'), 'targets', targetsTable(targetsByNode(benchmarks)));
  for (const [name, { report, charts }] of Object.entries(benchmarks)) {
    const results = saved(name);
    if (results.length === 0) continue;
    if (charts) saveCharts(charts(results[0]));
    const blocks = results.map((result) => {
      const heading = results.length > 1 ? `### On Node ${result.versions.node}\n\n` : '';
      return `${heading}${render(result, report)}`;
    });
    page = withSection(page, name, blocks.join('\n\n'));
  }
  writeFileSync(PAGE, page);
}

/** `text` between the two markers of `name`, instead of what is there. */
function withSection(page, name, text) {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to < from) throw new Error(`docs/benchmarks.md lacks ${begin} … ${end}`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}

/** Those of all benchmarks that were measured on a major version of Node. */
function targetsByNode(benchmarks) {
  const byMajor = new Map();
  for (const [name, { targets }] of Object.entries(benchmarks)) {
    for (const result of targets ? saved(name) : []) {
      const major = majorOf(result.versions);
      const node = byMajor.get(major) ?? { node: major, targets: [] };
      node.targets.push(...targets(result));
      byMajor.set(major, node);
    }
  }
  return [...byMajor.values()].sort((a, b) => a.node - b.node);
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
