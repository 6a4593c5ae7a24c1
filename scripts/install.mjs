// Installs the dependencies when node_modules lacks some of the lock file, then the engine's builds for this machine's GPUs.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installEngineBuilds } from './engine-builds.mjs';
import { npm, runNpm } from './npm.mjs';
import { withProgress } from './progress.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

export async function install() {
  const lock = readLock('package-lock.json');
  if (!isInstalled(lock, readLock('node_modules/.package-lock.json'))) {
    checkNodeVersion();
    // Not `npm ci`, which would throw away what is there, the builds for GPUs included.
    // Install scripts are neither needed nor run.
    const names = packagesHere(lock, thisMachine());
    const found = () => names.filter((name) => existsSync(join(root, name, 'package.json'))).length;
    const command = npm('install', '--no-save', '--ignore-scripts');
    await withProgress(
      'Installing dependencies (once)',
      () => `${found()} of ${names.length} packages`,
      () => runNpm(command, root),
    );
  }
  await installEngineBuilds();
}

/**
 * Whether every package that is not optional is there in its version. By what the files say, not by their dates: a
 * checkout makes the lock file new without changing it.
 */
export function isInstalled(lock, installed) {
  if (installed === undefined) return false;
  return Object.entries(lock.packages).every(([name, { version, link, optional, devOptional }]) => {
    if (name === '' || link || optional || devOptional || !name.startsWith('node_modules/')) return true;
    return installed.packages[name]?.version === version;
  });
}

/** The folders that npm fills on this platform. */
export function packagesHere({ packages }, { platform, arch, libc }) {
  const fits = (list, value) => list === undefined || list.includes(value);
  return Object.entries(packages).flatMap(([name, wants]) =>
    name.startsWith('node_modules/') &&
    fits(wants.os, platform) &&
    fits(wants.cpu, arch) &&
    fits(wants.libc, libc)
      ? [name]
      : [],
  );
}

function thisMachine() {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch, libc: undefined };
  process.report.excludeNetwork = true;
  const { glibcVersionRuntime } = process.report.getReport().header;
  return { platform, arch, libc: glibcVersionRuntime === undefined ? 'musl' : 'glibc' };
}

function readLock(path) {
  const absolute = join(root, path);
  return existsSync(absolute) ? JSON.parse(readFileSync(absolute, 'utf8')) : undefined;
}

function checkNodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(`llm-serve needs Node 20.19 or newer; this is ${process.versions.node}.`);
}
