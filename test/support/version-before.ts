/** The version before this one, built from the history of the repository, for rolling upgrades. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EndsWith } from './server.ts';

/** The last one that shared no slots between replicas and had no worker processes. */
const VERSION_BEFORE = '2f18f9b7cfdf';

const root = fileURLToPath(new URL('../..', import.meta.url));
const git = (...args: readonly string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' });

/** Why it can't be had here. */
export const MISSING_VERSION_BEFORE =
  git('cat-file', '-e', `${VERSION_BEFORE}^{commit}`).status === 0
    ? undefined
    : `there is no commit ${VERSION_BEFORE} in this clone`;

/** The entry of its program. Its folder is removed at the end. */
export function buildVersionBefore(endsWith: EndsWith): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-before-'));
  const checkout = join(folder, 'checkout');
  endsWith(async () => {
    git('worktree', 'remove', '--force', checkout);
    rmSync(folder, { recursive: true, force: true });
  });
  const added = git('worktree', 'add', '--detach', checkout, VERSION_BEFORE);
  if (added.status !== 0) throw new Error(added.stderr);
  // With other dependencies it installs its own.
  const lockOf = (directory: string) => readFileSync(join(directory, 'package-lock.json'), 'utf8');
  if (lockOf(checkout) === lockOf(root))
    symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  execFileSync(process.execPath, [join('scripts', 'build.mjs')], { cwd: checkout, stdio: 'pipe' });
  return join(checkout, 'dist', 'cli', 'main.js');
}
