// `npm run check:package`: packs the project, installs the tarball as users do, and runs what was installed.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { prepare } from './build.mjs';
import { npm } from './npm.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const { version, optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const ENGINE = 'node-llama-cpp';
const ENGINE_VERSION = optionalDependencies[ENGINE];
const NEEDED = [
  ...['README.md', 'LICENSE', 'package.json', 'dist/cli/main.js', 'dist/cli/main.js.licences.txt'],
  ...['dist/web/index.html', 'dist/web/index.html.br', 'dist/web/licences.txt'],
  ...['dist/swagger-ui/swagger-ui-bundle.js', 'dist/swagger-ui/LICENSE', 'dist/swagger-ui/NOTICE'],
];
const LISTENS_WITHIN_MS = 60_000;
const READY_WITHIN_MS = 120_000;

const scratch = mkdtempSync(join(tmpdir(), 'llm-serve-package-'));
try {
  await prepare();
  const tarball = await pack();
  // One after the other: each is npm over the same cache.
  await step('installed', () => installed(tarball));
  await step('installed with --omit=optional', () => installed(tarball, '--omit=optional'));
  await step('installed globally', () => installedGlobally(tarball));
  await step('run by npx', () => runByNpx(tarball));
  await step('installed with the engine for the CPU', () => installedWithEngine(tarball));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function step(what, check) {
  try {
    const notes = await check();
    process.stdout.write(`ok      ${what}${notes ? `: ${notes}` : ''}\n`);
  } catch (thrown) {
    process.stdout.write(`FAILED  ${what}: ${thrown.stderr ?? ''}${thrown.message}\n`);
    process.exitCode = 1;
  }
}

/** Path of the tarball. */
async function pack() {
  const { stdout } = await runNpm(root, 'pack', '--json', '--pack-destination', scratch);
  // What `prepack` writes may come first.
  const [{ filename, files, size }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  const paths = files.map(({ path }) => path);
  assert.deepEqual(
    NEEDED.filter((path) => !paths.includes(path)),
    [],
    'the package lacks files',
  );
  const strange = paths.filter((path) => !path.startsWith('dist/') && !NEEDED.includes(path));
  assert.deepEqual(strange, [], 'the package has files that are of no use there');
  process.stdout.write(`ok      packed: ${paths.length} files, ${(size / 1e6).toFixed(1)} MB\n`);
  return join(scratch, filename);
}

async function installed(tarball, ...flags) {
  const folder = emptyProject();
  await install(folder, ...flags, tarball);
  assert.equal(existsSync(join(folder, 'node_modules', ENGINE)), false, `${ENGINE} was installed`);
  const executable = join(folder, 'node_modules', '.bin', 'llm-serve');
  const { stdout } = await run(executable, ['--help'], { cwd: folder });
  assert.match(stdout, /check-config/);
  const scripted = ['--backend', 'scripted', '--model', 'demo'];
  await serving({ executable, folder, flags: scripted }, async (url) => {
    assert.equal(await statusOf(`${url}/ready`), 200);
    assert.equal(await statusOf(`${url}/generate`, { prompt: 'one two' }), 200);
    for (const file of ['/docs', '/docs/static/swagger-ui-bundle.js', '/docs/static/swagger-ui.css'])
      assert.equal(await statusOf(url + file), 200, file);
  });
}

async function installedGlobally(tarball) {
  const prefix = join(scratch, 'global');
  await install(scratch, '--global', '--prefix', prefix, tarball);
  const { stdout } = await run(join(prefix, 'bin', 'llm-serve'), ['--version']);
  assert.equal(stdout.trim(), version);
  const modules = join(prefix, 'lib', 'node_modules');
  const found = readdirSync(modules, { recursive: true }).filter((path) => path.includes('node-llama-cpp'));
  assert.deepEqual(
    found.filter((path) => !path.includes('llm-serving-api/dist')),
    [],
  );
}

async function runByNpx(tarball) {
  const folder = emptyProject();
  const words = ['exec', '--yes', '--package', tarball, '--', 'llm-serve', '--version'];
  const { stdout } = await runNpm(folder, ...words);
  assert.equal(stdout.trim(), version);
}

/** As docs/how-to/install-as-a-package.md says: without --omit=optional npm fetches the engine's builds for GPUs too. */
async function installedWithEngine(tarball) {
  const build = engineBuild();
  if (build === undefined) return `skipped, ${ENGINE} has no build for ${process.platform} ${process.arch}`;
  const folder = emptyProject();
  const engine = [`${ENGINE}@${ENGINE_VERSION}`, `@node-llama-cpp/${build}@${ENGINE_VERSION}`];
  await install(folder, '--omit=optional', '--ignore-scripts', tarball, ...engine);
  assert.deepEqual(readdirSync(join(folder, 'node_modules', '@node-llama-cpp')), [build]);
  return servesDefaultModel(folder);
}

async function servesDefaultModel(folder) {
  const cache = modelCache();
  if (!existsSync(cache)) return 'not served, as no model was fetched yet';
  const executable = join(folder, 'node_modules', '.bin', 'llm-serve');
  await serving({ executable, folder, flags: ['--cache.directory', cache] }, async (url) => {
    const until = Date.now() + READY_WITHIN_MS;
    while ((await statusOf(`${url}/ready`)) !== 200 && Date.now() < until) await pause(100);
    assert.equal(await statusOf(`${url}/generate`, { prompt: 'Say hi.', max_tokens: 2 }), 200);
  });
  return '';
}

/** The engine's build for the CPU of this machine. */
function engineBuild() {
  const { optionalDependencies: builds } = JSON.parse(
    readFileSync(join(root, 'node_modules', ENGINE, 'package.json'), 'utf8'),
  );
  const platform = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform];
  const names = [`${platform}-${process.arch}`, `${platform}-${process.arch}-metal`];
  return names.find((each) => `@node-llama-cpp/${each}` in builds);
}

function modelCache() {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  return process.env.LLM_SERVE_TEST_CACHE ?? join(base, 'llm-serve', 'models');
}

function emptyProject() {
  const path = mkdtempSync(join(scratch, 'project-'));
  writeFileSync(join(path, 'package.json'), '{"private":true}');
  return path;
}

/** Fails where npm warns of engines, deprecations, peers. It may name scripts that it does not run: none is needed. */
async function install(folder, ...args) {
  const { stderr } = await runNpm(folder, 'install', '--no-audit', '--no-fund', '--prefer-offline', ...args);
  assert.doesNotMatch(stderr, /npm warn (?!install-scripts)/i);
}

function runNpm(cwd, ...args) {
  const [command, ...words] = npm(...args);
  // The settings of the npm that runs this script are not those of a user.
  const environment = Object.entries(process.env).filter(([key]) => !/^npm_(package|lifecycle)/.test(key));
  return run(command, words, { cwd, env: Object.fromEntries(environment), maxBuffer: 64 * 1024 * 1024 });
}

/** Runs the server while `use` runs, then ends it politely. */
async function serving({ executable, folder, flags }, use) {
  const environment = { LLM_SERVE_SERVER__SHUTDOWN_DELAY_SECONDS: '0' };
  const child = spawn(executable, ['serve', '--port', '0', '--logging.format', 'json', ...flags], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
  let output = '';
  const listens = new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`it does not listen: ${output}`)), LISTENS_WITHIN_MS);
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        const url = /listens on (http:[^"\s]+)/.exec(output)?.[1];
        if (url === undefined) return;
        clearTimeout(limit);
        resolve(url);
      });
    void ended.then((how) => reject(new Error(`it ended with ${how}: ${output}`)));
  });
  try {
    await use(await listens);
  } finally {
    child.kill('SIGTERM');
  }
  assert.equal(await ended, 0, output);
  assert.ok(existsSync(join(folder, '.local', 'share', 'llm-serve', 'llm-serve.sqlite')), output);
}

async function statusOf(url, body) {
  const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const answer = await fetch(url, body ? { ...options, body: JSON.stringify(body) } : {});
  await answer.arrayBuffer();
  return answer.status;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
