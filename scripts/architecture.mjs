// The architecture test: import rules and cycles by dependency-cruiser, then what it cannot say. Fails when it finds no
// modules, or when it does not find a planted violation.
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import { forbidden, MAY_IMPORT, options } from '../.dependency-cruiser.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const MAX_FILE_LINES = 400;
const EXPECTED_MODULES_AT_LEAST = 80;
const BANNED_NAMES = /(^|[-/])(utils?|helpers?|common|misc|types)\.ts$/;
const PLANTED = join('src', 'core', 'planted-violation.ts');

const problems = [
  ...(await brokenRules()),
  ...fileProblems(),
  ...pageProblems(),
  ...(await plantedViolationIsMissed()),
];
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

async function violations() {
  const settings = { ...options, ruleSet: { forbidden }, validate: true };
  const { output } = await cruise(['src'], settings, {}, { tsConfig: extractTSConfig('tsconfig.json') });
  return output.summary;
}

async function brokenRules() {
  const { totalCruised, violations: found } = await violations();
  if (totalCruised < EXPECTED_MODULES_AT_LEAST)
    return [`only ${totalCruised} modules were found: the import rules were not checked`];
  return found.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`);
}

async function plantedViolationIsMissed() {
  const folder = dirname(PLANTED);
  const { atime, mtime } = statSync(folder);
  writeFileSync(
    PLANTED,
    "import { Serving } from '../serving/serving.ts';\nexport const planted = Serving;\n",
  );
  try {
    const { violations: found } = await violations();
    const seen = found.some(
      ({ rule, from }) => rule.name === 'core-imports' && from.endsWith('planted-violation.ts'),
    );
    return seen ? [] : ['a planted violation was not found: the import rules do not bite'];
  } finally {
    rmSync(PLANTED, { force: true });
    // Else the next build would take the sources for changed.
    utimesSync(folder, atime, mtime);
  }
}

function fileProblems() {
  return [...sourceFiles('src', ['.ts']), ...sourceFiles('web', ['.ts', '.tsx', '.css'])].flatMap((path) => {
    const text = readFileSync(path, 'utf8');
    const lines = text.split('\n').length - 1;
    return [
      ...(lines > MAX_FILE_LINES ? [`${path} has ${lines} lines; ${MAX_FILE_LINES} are allowed`] : []),
      ...(BANNED_NAMES.test(path) ? [`${path}: name a file after what it holds`] : []),
      ...(/process\.env\b/.test(text) && path.startsWith('src') && !path.startsWith(join('src', 'config'))
        ? [`${path} reads the environment; only config/ may`]
        : []),
      ...((path.endsWith('.css') ? /^\/\*/ : /^(#!.*\n)?\/\*\*/).test(text)
        ? []
        : [`${path} does not open by saying what it is for`]),
    ];
  });
}

/** What ARCHITECTURE.md says of the folders of src, and of who imports whom, is all there is, and as it is checked. */
function pageProblems() {
  const page = readFileSync('ARCHITECTURE.md', 'utf8');
  const folders = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const rows = [...page.matchAll(/^\| ([a-z, ]+) \| (.+) \|$/gm)].map(([, layers, imports]) => ({
    layers: layers.split(', '),
    imports: imports
      .replace(/\(.*\)/, '')
      .trim()
      .split(', '),
  }));
  return [
    ...folders
      .filter(({ name }) => !new RegExp(`^  ${name}/`, 'm').test(page))
      .map(({ name }) => `ARCHITECTURE.md: the tree has no src/${name}`),
    ...Object.entries(MAY_IMPORT).flatMap(([layer, allowed]) => {
      const row = rows.find(({ layers }) => layers.includes(layer));
      const said = row?.imports.filter((name) => name in MAY_IMPORT).sort();
      return said?.join() === allowed.toSorted().join()
        ? []
        : [`ARCHITECTURE.md: ${layer} may import ${allowed.join(', ') || 'nothing'}; the page says ${said}`];
    }),
  ];
}

function sourceFiles(folder, endings) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => join(folder, name));
}
