// Whether llm-serve bench measures what is true: the same load from several clients on a server that notes what it really did.
// node bench/truth/compare.mjs [--json] [USERS] [REQUESTS] [ROUNDS]; LLM_BENCH_PYTHON and LLM_BENCH_VLLM (a folder with vllm/benchmarks of
// vLLM's wheel) add vLLM's own client. Prints the figures of each client over the server's notes of the same answers: the median of the
// rounds, and their extremes. The clients take turns, so that what disturbs the machine disturbs them alike.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const MAIN = here('../../dist/cli/main.js');
const TOKENS = 40;
const MAX_OUTPUT = { maxBuffer: 64 * 1024 * 1024 };
const SHARES = [50, 90];
const BENCH = 'llm-serve bench';

/** Of each round: client → figure → { measured, truth }, in milliseconds. Figures are `ttft p50`, `tpot p50`, `itl p50`, `e2e p50` and p90. */
async function measureClients({ users, requests, rounds }) {
  const clients = availableClients();
  const server = spawn(process.execPath, [here('paced-server.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise((resolve) => {
    server.stdout.once('data', (line) => resolve(String(line).trim()));
  });
  try {
    const results = [];
    for (let round = 0; round < rounds; round += 1) {
      const result = {};
      for (const [client, measure] of Object.entries(clients)) {
        await fetch(`${address}/truth`, { method: 'POST' });
        const measured = await measure({ address, users, requests });
        const truth = figuresOf(await (await fetch(`${address}/truth`)).json());
        result[client] = Object.fromEntries(
          Object.entries(measured).map(([name, value]) => [name, { measured: value, truth: truth[name] }]),
        );
      }
      results.push(result);
    }
    return results;
  } finally {
    server.kill();
  }
}

/** `answers`: `{ ttft, gaps, e2e, tokens }` in milliseconds. */
function figuresOf(answers) {
  const values = {
    ttft: answers.map(({ ttft }) => ttft),
    tpot: answers.map(({ ttft, e2e, tokens }) => (e2e - ttft) / (tokens - 1)),
    itl: answers.flatMap(({ gaps }) => gaps),
    e2e: answers.map(({ e2e }) => e2e),
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, each]) =>
      SHARES.map((share) => [`${name} p${share}`, percentile(each, share / 100)]),
    ),
  );
}

/** Between the two closest ranks, as NumPy and llm-serve bench have it. */
function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = share * (sorted.length - 1);
  const below = Math.floor(rank);
  return sorted[below] + (sorted[Math.ceil(rank)] - sorted[below]) * (rank - below);
}

async function benchFigures({ address, users, requests }) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-bench-'));
  const file = join(folder, 'run.json');
  const load = ['--concurrency', users, '--requests', requests, '--output-tokens', TOKENS, '--json', file];
  try {
    await run(process.execPath, [MAIN, 'bench', address, ...load.map(String)]);
    const [step] = JSON.parse(readFileSync(file, 'utf8')).steps;
    return Object.fromEntries(
      ['ttft', 'tpot', 'itl', 'e2e'].flatMap((name) =>
        SHARES.map((share) => [`${name} p${share}`, step[`${name}_ms`][`p${share}`].value]),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const rawTimesOf =
  (program, script) =>
  async ({ address, users, requests }) => {
    const words = [here(script), address, 'paced', users, requests, TOKENS];
    return figuresOf(JSON.parse((await run(program, words.map(String), MAX_OUTPUT)).stdout));
  };

const vllmOf =
  (python, folder) =>
  async ({ address, users, requests }) => {
    const words = [here('vllm_bench.py'), folder, address, 'paced', users, requests, TOKENS];
    const { stdout } = await run(python, words.map(String), MAX_OUTPUT);
    const figures = JSON.parse(stdout.trim().split('\n').at(-1));
    return Object.fromEntries(
      ['ttft', 'tpot', 'itl', 'e2e'].flatMap((name) =>
        SHARES.map((share) => [
          `${name} p${share}`,
          figures[`p${share}_${name === 'e2e' ? 'e2el' : name}_ms`],
        ]),
      ),
    );
  };

/** bench first; the client in Node always, the others where there is what they need. */
function availableClients() {
  const { LLM_BENCH_PYTHON: python = 'python3', LLM_BENCH_VLLM: vllm } = process.env;
  const hasPython = spawnSync(python, ['--version'], { stdio: 'ignore' }).status === 0;
  return {
    [BENCH]: benchFigures,
    'Node, bare sockets': rawTimesOf(process.execPath, 'independent-client.mjs'),
    ...(hasPython && { 'Python, its own library': rawTimesOf(python, 'independent_client.py') }),
    ...(hasPython && vllm !== undefined && { 'vllm bench serve': vllmOf(python, vllm) }),
  };
}

/** Client → figure → `{ ratio, min, max }` of measured over truth: the median of the rounds, and their extremes. */
function ratiosOf(rounds) {
  const [first = {}] = rounds;
  return Object.fromEntries(
    Object.entries(first).map(([client, figures]) => [
      client,
      Object.fromEntries(
        Object.keys(figures).map((name) => {
          const ratios = rounds.map((round) => round[client][name].measured / round[client][name].truth);
          const [min, ratio, max] = [0, 0.5, 1].map((share) => percentile(ratios, share));
          return [name, { ratio, min, max }];
        }),
      ),
    ]),
  );
}

const asJson = process.argv[2] === '--json';
const [users = 8, requests = 80, rounds = 3] = process.argv.slice(asJson ? 3 : 2).map(Number);
const ratios = ratiosOf(await measureClients({ users, requests, rounds }));
if (asJson) console.log(JSON.stringify(ratios));
else printTable(ratios);

function printTable(clients) {
  const names = Object.keys(clients[BENCH]);
  const row = (cells) => console.log(`| ${cells.join(' | ')} |`);
  row(['measured ÷ true', ...names]);
  row(['---', ...names.map(() => '---:')]);
  for (const [client, figures] of Object.entries(clients))
    row([
      client,
      ...names.map((name) => {
        const { ratio, min, max } = figures[name];
        return `${ratio.toFixed(3)} (${min.toFixed(3)}–${max.toFixed(3)})`;
      }),
    ]);
}
