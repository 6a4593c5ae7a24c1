// Runs npm without its own output, unless it fails: how far it is, is told by progress.mjs.
import { spawn } from 'node:child_process';

/** The npm that runs this very script, where one does. */
export function npm(...args) {
  const path = process.env.npm_execpath;
  return path?.endsWith('.js') ? [process.execPath, path, ...args] : ['npm', ...args];
}

/** Settles when it has ended well; else throws with what it wrote. */
export async function runNpm([command, ...args], cwd) {
  const child = spawn(command, [...args, '--no-progress', '--no-audit', '--no-fund'], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    // On Windows npm is a script of the shell.
    shell: process.platform === 'win32' && command === 'npm',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...how) => resolve(how));
  });
  if (code !== 0) throw new Error(`npm ended with ${code ?? signal}\n${output.trim()}`);
}
