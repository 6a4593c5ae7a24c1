// Runs a program and shows what it wrote only when it fails: progress.mjs shows how far it is.
import { spawn } from 'node:child_process';

/** Resolves with its output when it has exited with 0; else throws an error that begins with `name` and has it. */
export async function runQuietly([command, ...args], { cwd, name, shell = false }) {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], shell });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...how) => resolve(how));
  });
  if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}\n${output.trim()}`);
  return output;
}
