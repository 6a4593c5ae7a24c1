// `npm run build`: compiles src/ to dist/, puts the server into one file (bundle.mjs), and the page (web.mjs) and the API
// page's files beside it.
// Installs what is missing first; does nothing where dist/ is newer than every source. A build is made beside dist/ and takes its place
// when it is whole: a server that runs from it can start its engine and its workers meanwhile, and two builds do not disturb each other.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { install } from './install.mjs';
import { withProgress } from './progress.mjs';
import { runQuietly } from './quiet.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const STAMP = '.built';
const INPUTS = [
  ...['src', 'web', 'tsconfig.json', 'tsconfig.build.json', 'package.json'],
  ...['scripts/build.mjs', 'scripts/bundle.mjs', 'scripts/licences.mjs', 'scripts/web.mjs'],
];

/**
 * Swagger UI's files that the page at /docs (web/docs) loads. They are copied so that no user installs the whole package, and compressed
 * with gzip alone: brotli would save a sixth of it once, and take longer than the rest of the build.
 */
const VIEWER = 'swagger-ui-dist';
const VIEWER_FILES = [
  'swagger-ui.css',
  'swagger-ui-bundle.js',
  'swagger-ui-bundle.js.LICENSE.txt',
  'LICENSE',
  'NOTICE',
];
/** Of the API page's files; the others are licences. */
const SERVED = /\.(css|html|js)$/;

/** Installs and builds what is missing; ends the process with the reason where that fails. */
export async function prepare() {
  try {
    await install();
    await build();
  } catch (thrown) {
    // The program's own words; a stack trace of ours would only hide them.
    process.stderr.write(`${thrown.message}\n`);
    process.exit(1);
  }
}

async function build() {
  const newest = Math.max(...INPUTS.map((name) => newestMtime(join(root, name))));
  const stamp = join(dist, STAMP);
  if (existsSync(stamp) && statSync(stamp).mtimeMs > newest) return;
  removeLeftovers();
  process.stderr.write(await withProgress('Building', () => '', buildBeside));
}

/** Of builds that were ended. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const pid = Number(/^dist\.(?:new|old)-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (pid === process.pid || (Number.isInteger(pid) && !isRunning(pid)))
      rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

/** Resolves with what the bundler has to say. */
async function buildBeside() {
  const made = `dist.new-${process.pid}`;
  const former = join(root, `dist.old-${process.pid}`);
  const startedAt = new Date();
  try {
    const notes = await compile(made);
    // What is saved meanwhile is built next time.
    utimesSync(join(root, made, STAMP), startedAt, startedAt);
    try {
      if (existsSync(dist)) renameSync(dist, former);
      renameSync(join(root, made), dist);
    } catch (error) {
      // Another build has come in between, from the same sources.
      if (!existsSync(join(dist, STAMP))) throw error;
    }
    return notes;
  } finally {
    for (const folder of [join(root, made), former]) rmSync(folder, { recursive: true, force: true });
  }
}

/** `folder`: in the root. */
async function compile(folder) {
  const node = (name, ...args) => runQuietly([process.execPath, ...args], { cwd: root, name });
  // `npm run check` checks the types; that would take three times as long as all the rest here.
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  await node('The compiler', compiler, '-p', 'tsconfig.build.json', '--noCheck', '--outDir', folder);
  const notes = await node('The bundler', join('scripts', 'bundle.mjs'), folder);
  await node('The build of the page', join('scripts', 'web.mjs'), folder);
  copyViewer(join(root, folder, 'swagger-ui'));
  chmodSync(join(root, folder, 'cli', 'main.js'), 0o755);
  writeFileSync(join(root, folder, STAMP), '');
  return notes;
}

function copyViewer(to) {
  const from = join(root, 'node_modules', VIEWER);
  cpSync(join(root, 'web', 'docs'), to, { recursive: true });
  for (const file of VIEWER_FILES) copyFileSync(join(from, file), join(to, file));
  const page = readFileSync(join(to, 'index.html'), 'utf8');
  // Both /docs and /docs/ show it, and its files lie in another place as seen from each.
  writeFileSync(join(to, 'without-slash.html'), page.replaceAll('"static/', '"docs/static/'));
  for (const file of readdirSync(to).filter((name) => SERVED.test(name)))
    writeFileSync(join(to, `${file}.gz`), gzipSync(readFileSync(join(to, file)), { level: 9 }));
  const { name, version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  writeFileSync(join(to, 'package.json'), `${JSON.stringify({ name, version, license })}\n`);
}

function newestMtime(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMtime(join(path, name))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await prepare();
