// Whether llm-serve bench measures what is true: the same load from several clients on a server that notes what it really did.
// node bench/truth/compare.mjs [USERS] [REQUESTS]; LLM_BENCH_PYTHON and LLM_BENCH_VLLM (a folder with vllm/benchmarks of vLLM's wheel)
// add vLLM's own client. Prints the figures of each client beside the server's notes for the same requests, and their ratio.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const MAIN = here('../../dist/cli/main.js');
const TOKENS = 40;

/** What each client measured and what the server noted meanwhile: `{ client, measured, truth }`, each `{ ttft, tpot, itl, e2e }` of p50. */
export async function compareClients({ users, requests, clients = CLIENTS }) {
  const server = spawn(process.execPath, [here('paced-server.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise((resolve) => {
    server.stdout.once('data', (line) => resolve(String(line).trim()));
  });
  try {
    const results = [];
    for (const [client, measure] of Object.entries(clients)) {
      await fetch(`${address}/truth`, { method: 'POST' });
      const measured = await measure({ address, users, requests });
      if (measured === undefined) continue;
      const notes = await (await fetch(`${address}/truth`)).json();
      // Warm-up requests come first.
      results.push({ client, measured, truth: figuresOf(notes.slice(-requests)) });
    }
    return results;
  } finally {
    server.kill();
  }
}

/** `answers`: `{ ttft, gaps, e2e, tokens }` in milliseconds. */
function figuresOf(answers) {
  return {
    ttft: p50(answers.map(({ ttft }) => ttft)),
    tpot: p50(answers.map(({ ttft, e2e, tokens }) => (e2e - ttft) / (tokens - 1))),
    itl: p50(answers.flatMap(({ gaps }) => gaps)),
    e2e: p50(answers.map(({ e2e }) => e2e)),
  };
}

/** Between the two closest ranks, as NumPy and llm-serve bench have it. */
function p50(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

export const CLIENTS = {
  'llm-serve bench': async ({ address, users, requests }) => {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-'));
    const file = join(folder, 'run.json');
    const load = ['--concurrency', users, '--requests', requests, '--output-tokens', TOKENS, '--json', file];
    try {
      await run(process.execPath, [MAIN, 'bench', address, ...load.map(String)]);
      const [{ ttft_ms, tpot_ms, itl_ms, e2e_ms }] = JSON.parse(readFileSync(file, 'utf8')).steps;
      return {
        ttft: ttft_ms.p50.value,
        tpot: tpot_ms.p50.value,
        itl: itl_ms.p50.value,
        e2e: e2e_ms.p50.value,
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  'Python, its own client': async ({ address, users, requests }) => {
    const words = [here('independent_client.py'), address, 'paced', users, requests, TOKENS];
    const { stdout } = await run('python3', words.map(String), { maxBuffer: 64 * 1024 * 1024 });
    return figuresOf(JSON.parse(stdout));
  },
  'vllm bench serve': async ({ address, users, requests }) => {
    const { LLM_BENCH_PYTHON: python = 'python3', LLM_BENCH_VLLM: folder } = process.env;
    if (folder === undefined) return undefined;
    const words = [here('vllm_bench.py'), folder, address, 'paced', users, requests, TOKENS];
    const { stdout } = await run(python, words.map(String));
    const { p50_ttft_ms, p50_tpot_ms, p50_itl_ms, p50_e2el_ms } = JSON.parse(
      stdout.trim().split('\n').at(-1),
    );
    return { ttft: p50_ttft_ms, tpot: p50_tpot_ms, itl: p50_itl_ms, e2e: p50_e2el_ms };
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [users = 8, requests = 80] = process.argv.slice(2).map(Number);
  console.log('| client | p50 of | measured ms | true ms | ratio |\n| --- | --- | ---: | ---: | ---: |');
  for (const { client, measured, truth } of await compareClients({ users, requests }))
    for (const [name, value] of Object.entries(measured))
      console.log(
        `| ${client} | ${name} | ${value.toFixed(2)} | ${truth[name].toFixed(2)} | ${(value / truth[name]).toFixed(4)} |`,
      );
}
