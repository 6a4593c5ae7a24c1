// The bound: llama.cpp's own llama-batched-bench, which decodes batches of fixed tokens and chooses none, beside the
// llama-server that LLAMA_SERVER names. Its rate is that of the answers alone, without prompts.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { CONCURRENCIES, CONTEXT_SIZE, SLOTS } from './workload.mjs';

const EXECUTABLE = join(dirname(process.env.LLAMA_SERVER ?? ''), 'llama-batched-bench');
const PROMPT_TOKENS = 32;

export const hasBound = process.env.LLAMA_SERVER !== undefined && existsSync(EXECUTABLE);

/** Tokens per second by concurrency. */
export function measureBound({ modelPath, tokens }) {
  const argv = [
    ...['-m', modelPath, '-c', SLOTS * CONTEXT_SIZE, '-t', availableParallelism(), '-fa', 'on'],
    ...['-npp', PROMPT_TOKENS, '-ntg', tokens, '-npl', CONCURRENCIES.join(','), '--output-format', 'jsonl'],
  ];
  const { stdout, stderr } = spawnSync(EXECUTABLE, argv.map(String), {
    env: { ...process.env, LD_LIBRARY_PATH: dirname(EXECUTABLE) },
    encoding: 'utf8',
  });
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  if (lines.length === 0) throw new Error(`llama-batched-bench said nothing: ${stderr.slice(-500)}`);
  return Object.fromEntries(lines.map((line) => JSON.parse(line)).map(({ pl, speed_tg }) => [pl, speed_tg]));
}
