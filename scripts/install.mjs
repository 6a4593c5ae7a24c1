// Installs the dependencies when node_modules is missing or older than the lock file.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export function install() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  checkNodeVersion();
  process.stderr.write('Installing dependencies (once)…\n');
  // Not `npm ci`: the lock file was made on one platform and lacks the others' optional binaries, which `npm ci` refuses.
  // Install scripts are neither needed nor run.
  const npm = process.env.npm_execpath;
  const [command, ...prefix] = npm ? [process.execPath, npm] : ['npm'];
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  execFileSync(command, [...prefix, 'install', ...flags], { cwd: root, stdio: ['ignore', 2, 2] });
}

function checkNodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  process.stderr.write(`llm-serve needs Node 20.19 or newer; this is ${process.versions.node}.\n`);
  process.exit(1);
}
