// Writes the reference pages from the code's own schemas; `--check` fails when a committed page differs.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare } from './build.mjs';

await prepare();
const root = fileURLToPath(new URL('..', import.meta.url));
const from = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);

const { commonTargetKeys } = await from('backends/backend-definition.js');
const { BACKENDS } = await from('backends/catalog.js');
const { compose } = await from('compose.js');
const { loadConfig } = await from('config/load.js');
const { SETTINGS, SHORTCUTS, shortcutVariable } = await from('config/settings.js');
const { ERRORS } = await from('core/errors.js');
const { silentLog } = await from('core/log.js');
const { GRAMMAR_LIMITS, SCHEMA_LIMITS } = await from('backends/llama-cpp/grammar/limits.js');
const { KEYWORDS } = await from('backends/llama-cpp/grammar/schema/keywords.js');
const { describeRule } = await from('schema/violation.js');

const LIMIT_WORDS = {
  referenceDepth: 'schemas within schemas, `$ref` followed; recursion counts once',
  depth: '`$ref` and `allOf` in a row, before a keyword that says something',
  merged: 'schemas that one value must meet at the same time',
  mergedInAll: 'the same, of all values together: choices side by side multiply',
  properties: 'properties of one object',
  nameCharacters: 'characters of a property’s name',
  optionalProperties: 'properties in a row that may be left out',
  prefixItems: 'schemas in `prefixItems`',
  rules: 'different schemas of one document, branches combined',
  enumValues: 'values of one `enum`',
  enumCharacters: 'characters of one `enum` or `const`, as JSON',
  branches: 'branches of one `anyOf` or `oneOf`',
  comparisons: 'pairs compared to see whether branches of `oneOf` exclude one another',
  patternCharacters: 'characters of one `pattern`',
  patternNesting: 'groups within groups of one `pattern`',
  repetitions: '`minLength`, `maxLength`, `minItems`, `maxItems`, counts of a `pattern`',
  tools: 'tools of one request',
};
const GRAMMAR_LIMIT_WORDS = {
  characters: 'characters of the text',
  rules: 'rules, with those that the engine makes for groups and repetitions',
  elements: 'characters, ranges and references, repetitions written out',
  nesting: 'groups within groups',
  repetitions: 'count of a repetition, times the rules of the repeated group',
  leftVisits: 'steps of the engine’s search for left recursion',
  leftDepth: 'depth of that search',
  stacks: 'ways in which the same text may be read at once',
  branches: 'Ways that further characters add, over six characters',
};

const made = 'Made by `npm run docs` from the code’s own schemas; do not edit.';
const application = await describeApplication();

const pages = {
  'docs/reference/clients.md': clientsPage(),
  'docs/reference/configuration.md': configurationPage(),
  'docs/reference/errors.md': errorsPage(),
  'docs/reference/json-schema.md': jsonSchemaPage(),
  'docs/reference/metrics.md': metricsPage(application.metrics),
  'docs/reference/openapi.json': `${JSON.stringify(application.openapi, null, 2)}\n`,
};

let stale = 0;
for (const [path, text] of Object.entries(pages)) {
  if (process.argv.includes('--check')) {
    if (readOrEmpty(path) === text) continue;
    stale += 1;
    process.stdout.write(`${path} is stale: run npm run docs\n`);
    continue;
  }
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
}
process.exitCode = stale === 0 ? 0 : 1;

function readOrEmpty(path) {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return '';
  }
}

async function describeApplication() {
  const { config } = loadConfig({ flags: {}, environment: {} });
  const app = await compose({
    config,
    log: silentLog,
    version: '0.0.0',
    cacheDirectory: 'unused',
    processEnvironment: {},
    onDownloadProgress() {},
    onFatal() {},
  });
  const described = await app.describe();
  await app.close();
  return described;
}

function row(...cells) {
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf({ default: value }) {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
}

function clientsPage() {
  const matrix = JSON.parse(readFileSync(join(root, 'test/clients/matrix.json'), 'utf8'));
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const clients = Object.entries(matrix.clients);
  const backends = Object.entries(matrix.backends);
  const reasons = [];
  const covers = (list, id) => list === undefined || list.includes(id);
  const counts = { yes: 0, no: 0 };
  const cell = (client, feature, backend) => {
    const no = matrix.no.find(
      ({ clients, features, backends }) =>
        covers(clients, client) && covers(features, feature) && covers(backends, backend),
    );
    counts[no ? 'no' : 'yes'] += 1;
    if (!no) return 'yes';
    if (!reasons.includes(no.reason)) reasons.push(no.reason);
    return `no (${reasons.indexOf(no.reason) + 1})`;
  };
  const tables = clients.map(([client, { name, package: packageName, version }]) => {
    const rows = Object.entries(matrix.features).map(([feature, what]) => ({
      feature,
      what,
      cells: backends.map(([backend]) => cell(client, feature, backend)),
    }));
    const isNowhere = ({ cells }) => cells[0] !== 'yes' && cells.every((each) => each === cells[0]);
    const nowhere = rows.filter(isNowhere);
    const listed = [...new Set(nowhere.map(({ cells }) => cells[0]))].map((no) => {
      const features = nowhere.filter(({ cells }) => cells[0] === no);
      return `${features.map(({ feature }) => feature).join(', ')}: ${no}`;
    });
    return [
      `## ${name}`,
      '',
      `\`${packageName}\` ${version ?? devDependencies[packageName]}.`,
      '',
      `| | ${backends.map(([, title]) => title).join(' | ')} |`,
      `| --- |${' --- |'.repeat(backends.length)}`,
      ...rows
        .filter((each) => !isNowhere(each))
        .map(({ feature, what, cells }) => `| ${feature}: ${what} | ${cells.join(' | ')} |`),
      ...(listed.length === 0 ? [] : ['', `On every backend: ${listed.join('; ')}.`]),
    ].join('\n');
  });
  return [
    '# Clients',
    '',
    `Made by \`npm run docs\` from test/clients/matrix.json; do not edit. Every "yes" is a test in test/clients/ that runs the client against the real server: over the embedded engine with its real model, and over stand-ins that play Ollama and vLLM in the shapes recorded from the real ones. ${counts.yes} cells are tests, ${counts.no} a reasoned no.`,
    '',
    ...tables.flatMap((table) => [table, '']),
    '## Why not',
    '',
    ...reasons.map((reason, index) => `${index + 1}. ${reason}`),
    '',
  ].join('\n');
}

function configurationPage() {
  const settings = SETTINGS.filter(({ key }) => key !== 'models').map(({ key, variable, schema }) =>
    row(`\`${key}\``, schema.description ?? '', describeRule(schema), defaultOf(schema), `\`${variable}\``),
  );
  const targetRow = ([key, schema]) =>
    row(`\`${key}\``, schema.description ?? '', describeRule(schema), defaultOf(schema));
  const header = [row('key', 'meaning', 'must be', 'default'), row('---', '---', '---', '---')];
  const backends = BACKENDS.flatMap((definition) => {
    const aliases = Object.entries(definition.aliases ?? {}).map(
      ([name, preset]) =>
        `\`backend: ${name}\` is short for \`${JSON.stringify({ backend: definition.name, ...preset })}\`.`,
    );
    const keys = Object.entries(definition.keys);
    return [
      `### ${definition.name}`,
      '',
      `${definition.summary} Default of \`slots\`: ${definition.defaultSlots}.${aliases.length ? ` ${aliases.join(' ')}` : ''}`,
      '',
      ...(keys.length === 0 ? [] : [...header, ...keys.map(targetRow), '']),
    ];
  });
  return [
    '# Configuration',
    '',
    made,
    '',
    'A flag wins over the environment, that over the file (`--config FILE`, or `llm-serve.yaml` in the working directory), that over the default. The flag of `scheduler.max_batch_size` is `--scheduler.max-batch-size`; lists and maps are given as JSON in flags and variables. `${NAME}` in the file reads the environment. `llm-serve check-config` shows the result, secrets hidden.',
    '',
    row('key', 'meaning', 'must be', 'default', 'variable'),
    row('---', '---', '---', '---', '---'),
    ...settings,
    '',
    `One model in short: ${SHORTCUTS.map((name) => `\`--${name}\` (\`${shortcutVariable(name)}\`)`).join(', ')} replace \`models\` by one entry named after its model. \`--port\` and \`--host\` are short for \`--server.port\` and \`--server.host\`.`,
    '',
    '## Models and targets',
    '',
    '`models` (`LLM_SERVE_MODELS`) is a list of `{ id, targets }`: the name clients use, and the places that serve it. Each target names its `backend` and has these keys:',
    '',
    ...header,
    ...Object.entries(commonTargetKeys).map(targetRow),
    '',
    'and those of its backend:',
    '',
    ...backends,
  ].join('\n');
}

function errorsPage() {
  const rows = Object.entries(ERRORS).map(([code, { status, retryable, title }]) =>
    row(status, `\`${code}\``, title, retryable ? 'yes' : 'no'),
  );
  return [
    '# Errors',
    '',
    made,
    '',
    'The body is `{"error":{"code","message","param","request_id"}}`. 429 and 503 carry `Retry-After` (at least 1) and `X-Reject-Reason`; a 504 carries `x-should-retry: false`. 499 is only seen in the log: the client had left.',
    '',
    row('status', 'code', 'meaning', 'may succeed later, unchanged'),
    row('---', '---', '---', '---'),
    ...rows,
    '',
  ].join('\n');
}

function metricsPage(text) {
  const helps = [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)];
  return [
    '# Metrics',
    '',
    made,
    '',
    'Prometheus text at `GET /metrics`. `llm_serve_requests_total` has the labels `route` and `status`, `llm_serve_rejected_total` `code`, `llm_serve_cancelled_total` `phase` (queued, waiting, streaming); what speaks of a target has `model` and `target`, the rest `model`.',
    '',
    row('name', 'type', 'meaning'),
    row('---', '---', '---'),
    ...helps.map(([, name, help, type]) => row(`\`${name}\``, type, help)),
    '',
  ].join('\n');
}

function jsonSchemaPage() {
  const rows = (use, cells) =>
    [...KEYWORDS].filter(([, rule]) => rule.use === use).map(([name, rule]) => row(...cells(name, rule)));
  const limits = Object.entries({ ...SCHEMA_LIMITS }).map(([name, value]) => row(LIMIT_WORDS[name], value));
  const grammarLimits = Object.entries(GRAMMAR_LIMITS).map(([name, value]) =>
    row(GRAMMAR_LIMIT_WORDS[name], value),
  );
  const noWords = [
    ...Object.keys(SCHEMA_LIMITS).filter((name) => !(name in LIMIT_WORDS)),
    ...Object.keys(GRAMMAR_LIMITS).filter((name) => !(name in GRAMMAR_LIMIT_WORDS)),
  ];
  if (noWords.length > 0) throw new Error(`no words for the limits ${noWords.join(', ')}`);
  return [
    '# JSON Schema for structured output',
    '',
    made,
    '',
    'What the embedded engine supports. A keyword that is not on this page is refused with 400, as is one in a shape or combination that is not described here. [Structured output](../structured-output.md) explains the rules.',
    '',
    '## Supported',
    '',
    row('keyword', 'of', 'what'),
    row('---', '---', '---'),
    ...rows('met', (name, { of, note }) => [`\`${name}\``, of ?? 'any value', note]),
    '',
    '## Ignored',
    '',
    row('keyword', 'why'),
    row('---', '---'),
    ...rows('ignored', (name, { note }) => [`\`${name}\``, note]),
    '',
    '## Refused',
    '',
    row('keyword', 'why, or what to use'),
    row('---', '---'),
    ...rows('refused', (name, { note, unless }) => [
      `\`${name}\``,
      unless === undefined ? note : `${note} (\`${JSON.stringify(unless)}\` is allowed)`,
    ]),
    '',
    '## Limits of a schema',
    '',
    row('what', 'at most'),
    row('---', '---'),
    ...limits,
    '',
    '## Limits of a grammar',
    '',
    'Of a client’s own, and of one that a schema makes.',
    '',
    row('what', 'at most'),
    row('---', '---'),
    ...grammarLimits,
    '',
  ].join('\n');
}
