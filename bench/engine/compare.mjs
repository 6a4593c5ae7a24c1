// What serving the embedded model costs: aggregate tokens per second through the real executable, against llama.cpp's
// own server with the same weights, threads and context, and against node-llama-cpp without HTTP, in alternating
// rounds. One side runs at a time: decoding needs the cores for itself.
import { packageVersions } from '../machine.mjs';
import { measureBesideStreams } from './beside-streams.mjs';
import { hasBound, measureBound } from './bound.mjs';
import { measureConversation } from './conversation.mjs';
import { startLibrary } from './library.mjs';
import { hasLlamaServer, llamaServerVersion, startLlamaServer } from './llama-server.mjs';
import { startLlmServe } from './llm-serve.mjs';
import { CONCURRENCIES, CONTEXT_SIZE, SLOTS, wavesOf } from './workload.mjs';

export { report } from './report.mjs';

const { defaultCacheDirectory } = await import('../../dist/config/environment.js');
const { ensureModel } = await import('../../dist/models/fetch.js');

const MODEL = 'smollm2-135m-instruct';

const SIDES = {
  'llm-serve': startLlmServe,
  ...(hasLlamaServer && { 'llama-server': startLlamaServer }),
  'node-llama-cpp': startLibrary,
};

export async function run({ rounds, tokens }) {
  const modelPath = await fetchModel();
  const measured = [];
  for (let round = 0; round < rounds; round += 1) {
    const names = Object.keys(SIDES);
    if (round % 2 === 1) names.reverse();
    const results = {};
    for (const name of names) {
      const side = await SIDES[name]({ model: MODEL, modelPath });
      try {
        results[name] = await measure(side, { tokens, salt: round });
      } finally {
        await side.stop();
      }
    }
    if (hasBound) results.bound = measureBound({ modelPath, tokens });
    measured.push(results);
  }
  return {
    versions: {
      ...packageVersions(['node-llama-cpp']),
      ...(hasLlamaServer && { 'llama-server': llamaServerVersion() }),
    },
    settings: { model: MODEL, rounds, tokens, slots: SLOTS, contextSize: CONTEXT_SIZE },
    rounds: measured,
  };
}

async function measure(side, { tokens, salt }) {
  const result = {};
  for (const concurrency of CONCURRENCIES) {
    const waves = wavesOf({ concurrency, tokens, salt });
    await side.generate(waves.warmUp);
    result[concurrency] = outcome(await side.generate(waves.rate), await side.stream(waves.firstToken));
  }
  // The library alone has no streams to be disturbed and no conversations.
  if (side.streamOne === undefined) return result;
  result.besideStreams = await measureBesideStreams(side, { salt });
  result.conversation = await measureConversation(side, { salt });
  return result;
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
