// `llm-serve bench` as its users run it, with cores of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { MAIN } from './executable.mjs';

/** The only step of its report about the servers; `words`: what it is told on the command line beside their addresses. */
export async function benchOn(urls, { cores, words }) {
  const command = [MAIN, 'bench', ...urls, ...words, '--json', '-'];
  const child = spawn('taskset', ['--cpu-list', cores, process.execPath, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    written += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`llm-serve bench ended with ${code}: ${said}`);
  return JSON.parse(written).steps[0];
}
