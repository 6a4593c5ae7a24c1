// Runs npm without its own output, unless it fails.
import { runQuietly } from './quiet.mjs';

/** The npm that runs this very script, where one does. */
export function npm(...args) {
  const path = process.env.npm_execpath;
  return path?.endsWith('.js') ? [process.execPath, path, ...args] : ['npm', ...args];
}

export async function runNpm(command, cwd) {
  // On Windows npm is a script of the shell.
  const shell = process.platform === 'win32' && command[0] === 'npm';
  await runQuietly([...command, '--no-progress', '--no-audit', '--no-fund'], { cwd, name: 'npm', shell });
}
