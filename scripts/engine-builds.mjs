// Fetches the engine's builds for GPUs, where this machine has such a GPU: docs/decisions/0024-builds-for-the-gpus-that-are-there.md
//   node scripts/engine-builds.mjs            what `npm start` does as well
//   LLM_ENGINE_BUILDS=cuda,vulkan npm start   these, whatever is found here; cpu: none; all: every one
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm, runNpm } from './npm.mjs';
import { withProgress } from './progress.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** By platform and kind; sizes in MB as installed. Windows: npm checks them against the registry alone. */
export const BUILDS = {
  'linux-x64': {
    cuda: [
      {
        name: 'linux-x64-cuda',
        megabytes: 181,
        integrity:
          'sha512-8rQCjyNNLZJUFit+YpjwlC4hwkKgOMIkB2wuycKBf8NU2O3ySKbiWZQ8aw9ku2nUTXjSnUIrE6KB88itduTBuA==',
      },
      {
        name: 'linux-x64-cuda-ext',
        megabytes: 358,
        integrity:
          'sha512-4e5ajkiM2aR2WAdB/N/ACk4weEhHvOAIrzxZPsIX0xDFW5+6hhShuy1/vs88SK9NGdgAco9IyE28eYS0H1efpA==',
      },
    ],
    vulkan: [
      {
        name: 'linux-x64-vulkan',
        megabytes: 71,
        integrity:
          'sha512-bBxqU+JOcBu1nb5Qj2zcMci+JByT1E8EajHvYodyNfVIPkEhXh+/HMwR1/BT7xP08YK0hks+kM8fglER0P8JEg==',
      },
    ],
  },
  'win32-x64': {
    cuda: [{ name: 'win-x64-cuda' }, { name: 'win-x64-cuda-ext' }],
    vulkan: [{ name: 'win-x64-vulkan' }],
  },
};

const KINDS = ['cuda', 'vulkan'];
const LIBRARY_FOLDERS = ['/usr/lib', '/usr/lib64', '/usr/lib/x86_64-linux-gnu', '/usr/local/lib'];

/** The kinds of GPU that this machine seems to have a driver for. `has` answers whether a path exists. */
export function gpusHere({ platform, env, has }) {
  if (platform === 'win32') {
    const system = (name) => has(join(env.SystemRoot ?? 'C:\\Windows', 'System32', name));
    return KINDS.filter((kind) => system(kind === 'cuda' ? 'nvcuda.dll' : 'vulkan-1.dll'));
  }
  if (platform !== 'linux') return [];
  const folders = [...(env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean), ...LIBRARY_FOLDERS];
  const library = (name) => folders.some((folder) => has(join(folder, name)));
  const found = {
    // The driver's own, WSL's, and what a container is given.
    cuda: ['/dev/nvidia0', '/dev/dxg', '/proc/driver/nvidia/version'].some(has),
    // A loader without a device would only ever find software.
    vulkan: library('libvulkan.so.1') && ['/dev/dri', '/dev/dxg', '/dev/nvidia0'].some(has),
  };
  return KINDS.filter((kind) => found[kind]);
}

/** The kinds to have: those that `LLM_ENGINE_BUILDS` names, else those of this machine. Throws where it names others. */
export function wantedKinds(setting, here) {
  const words = (setting ?? 'auto')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter(Boolean);
  const unknown = words.find((word) => !['auto', 'cpu', 'all', ...KINDS].includes(word));
  if (unknown !== undefined) {
    throw new Error(
      `LLM_ENGINE_BUILDS names ${JSON.stringify(unknown)}, but must list some of: auto, cpu, cuda, vulkan, all.`,
    );
  }
  if (words.includes('all')) return KINDS;
  return KINDS.filter((kind) => words.includes(kind) || (words.includes('auto') && here.includes(kind)));
}

/** Fetches what is wanted and missing. A build that cannot be had is no reason not to serve: the engine then computes without it. */
export async function installEngineBuilds() {
  const modules = join(root, 'node_modules');
  if (!existsSync(join(modules, 'node-llama-cpp'))) return;
  const here = gpusHere({ platform: process.platform, env: process.env, has: existsSync });
  const kinds = wantedKinds(process.env.LLM_ENGINE_BUILDS, here);
  const available = BUILDS[`${process.platform}-${process.arch}`] ?? {};
  const { version } = readJson(join(modules, 'node-llama-cpp', 'package.json'));
  for (const build of kinds.flatMap((kind) => available[kind] ?? [])) {
    const folder = join(modules, '@node-llama-cpp', build.name);
    if (isThere(folder, version)) continue;
    const size = build.megabytes === undefined ? '' : `, ${build.megabytes} MB`;
    try {
      await withProgress(
        `Fetching the engine's build ${build.name}${size}`,
        () => '',
        () => fetchBuild(build, { version, folder, modules }),
      );
    } catch (thrown) {
      process.stderr.write(
        `Could not fetch ${build.name}: ${thrown.message}\n` +
          'The engine computes without it. Try again: node scripts/engine-builds.mjs\n',
      );
    }
  }
}

/** What package.json puts in the place of a build has another name. */
function isThere(folder, version) {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) return false;
  const found = readJson(manifest);
  return found.name.startsWith('@node-llama-cpp/') && found.version === version;
}

async function fetchBuild({ name, integrity }, { version, folder, modules }) {
  const cache = join(modules, '.cache');
  mkdirSync(cache, { recursive: true });
  const temporary = mkdtempSync(join(cache, 'engine-build-'));
  try {
    const spec = `@node-llama-cpp/${name}@${version}`;
    await runNpm(npm('pack', spec, '--ignore-scripts', '--pack-destination', temporary), temporary);
    const [archive] = readdirSync(temporary);
    if (archive === undefined) throw new Error('npm pack wrote no file');
    check(join(temporary, archive), integrity);
    execFileSync('tar', ['-xzf', archive], { cwd: temporary });
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, '..'), { recursive: true });
    renameSync(join(temporary, 'package'), folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function check(path, integrity) {
  if (integrity === undefined) return;
  const found = `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`;
  if (found !== integrity)
    throw new Error('its checksum is not the one that this version of the server knows');
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await installEngineBuilds();
