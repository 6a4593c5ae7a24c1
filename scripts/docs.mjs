// Writes the reference pages from the code's own schemas; `--check` fails when a committed page differs.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { install } from './install.mjs';

install();
build();
const root = fileURLToPath(new URL('..', import.meta.url));
const from = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);

const { commonTargetKeys } = await from('backends/backend-definition.js');
const { BACKENDS } = await from('backends/catalog.js');
const { compose } = await from('compose.js');
const { loadConfig } = await from('config/load.js');
const { SETTINGS, SHORTCUTS, shortcutVariable } = await from('config/settings.js');
const { ERRORS } = await from('core/errors.js');
const { silentLog } = await from('core/log.js');
const { describeRule } = await from('schema/violation.js');

const made = 'Made by `npm run docs` from the code’s own schemas; do not edit.';
const application = await describeApplication();

const pages = {
  'docs/reference/configuration.md': configurationPage(),
  'docs/reference/errors.md': errorsPage(),
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
  await app.stop();
  return described;
}

function row(...cells) {
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultOf({ default: value }) {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
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
