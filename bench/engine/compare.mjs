// What serving the embedded model costs: aggregate tokens per second through the real executable, against
// node-llama-cpp without HTTP, in alternating rounds. One side runs at a time: decoding needs the cores for itself.
import { packageVersions } from '../machine.mjs';
import { percentile, show, summarize, table } from '../statistics.mjs';
import { startWorker } from '../worker.mjs';
import { startServedEngine } from './served-engine.mjs';
import { CONCURRENCIES, CONTEXT_SIZE, wavesOf } from './workload.mjs';

const { defaultCacheDirectory } = await import('../../dist/config/environment.js');
const { ensureModel } = await import('../../dist/models/ensure-model.js');

export const TARGET_RATIO = 0.9;
const MODEL = 'smollm2-135m-instruct';
const SIDES = { served, raw };

export async function run({ rounds, tokens }) {
  const modelPath = await fetchModel();
  const measured = [];
  for (let round = 0; round < rounds; round += 1) {
    const names = round % 2 === 0 ? ['served', 'raw'] : ['raw', 'served'];
    const results = { served: {}, raw: {} };
    for (const concurrency of CONCURRENCIES) {
      const waves = wavesOf({ concurrency, tokens });
      for (const name of names)
        results[name][concurrency] = await SIDES[name]({ waves, concurrency, modelPath });
    }
    measured.push(results);
  }
  return {
    versions: packageVersions(['node-llama-cpp']),
    settings: { model: MODEL, rounds, tokens, contextSize: CONTEXT_SIZE },
    rounds: measured,
  };
}

async function served({ waves, concurrency }) {
  const engine = await startServedEngine({ model: MODEL, slots: concurrency, contextSize: CONTEXT_SIZE });
  try {
    await engine.generate(waves.warmUp);
    return outcome(await engine.generate(waves.rate), await engine.stream(waves.firstToken));
  } finally {
    await engine.stop();
  }
}

async function raw({ waves, concurrency, modelPath }) {
  const engine = await startWorker(new URL('raw-engine.mjs', import.meta.url), {
    args: [modelPath, String(concurrency)],
    execArgv: ['--single-threaded-gc'],
    env: { UV_THREADPOOL_SIZE: '1' },
  });
  try {
    await engine.ask(waves.warmUp);
    return outcome(await engine.ask(waves.rate), await engine.ask(waves.firstToken));
  } finally {
    await engine.stop();
  }
}

function outcome(rate, firstToken) {
  const tokens = rate.answers.reduce((sum, answer) => sum + answer.tokens, 0);
  return {
    tokens,
    tokensPerSecond: tokens / rate.seconds,
    firstTokenMs: firstToken.answers.map((answer) => answer.firstTokenMs),
  };
}

/** The one the executable itself uses: fetched once, checked always. */
function fetchModel() {
  return ensureModel(MODEL, {
    cacheDirectory: defaultCacheDirectory(),
    signal: new AbortController().signal,
    log: { debug() {}, info() {}, warn: console.warn, error: console.error },
    onProgress: () => {},
  });
}

export function report({ rounds }) {
  const over = (read) => summarize(rounds.map(read));
  const rows = CONCURRENCIES.map((concurrency) => {
    const firstTokenMs = (side, share) =>
      percentile(
        rounds.flatMap((round) => round[side][concurrency].firstTokenMs),
        share,
      ).toFixed(0);
    const both = (share) => `${firstTokenMs('served', share)} / ${firstTokenMs('raw', share)}`;
    return [
      String(concurrency),
      show(over(({ served: { [concurrency]: side } }) => side.tokensPerSecond)),
      show(over(({ raw: { [concurrency]: side } }) => side.tokensPerSecond)),
      show(
        over(({ served: a, raw: b }) => a[concurrency].tokensPerSecond / b[concurrency].tokensPerSecond),
        2,
      ),
      both(0.5),
      both(0.99),
    ];
  });
  const head = [
    'concurrent requests',
    'llm-serve tokens/s',
    'node-llama-cpp tokens/s',
    'ratio per round',
    'first token p50 ms, llm-serve / node-llama-cpp',
    'p99 ms',
  ];
  return `${table(head, rows)}\n\nTarget of the ratio: at least ${TARGET_RATIO}.`;
}
