// node-llama-cpp by itself, with the settings of our engine's process and nothing around it: each order is a wave of
// prompts that are generated from at the same time.
import { availableParallelism } from 'node:os';
import { getLlama } from 'node-llama-cpp';
import { serveOrders } from '../worker.mjs';
import { CONTEXT_SIZE, SLOTS } from './workload.mjs';

/** The engine's own: prompt tokens in one decode step, and one for each other sequence. */
const BATCH_SIZE = 64 + SLOTS;

const modelPath = process.argv[2];
const threads = availableParallelism();
const llama = await getLlama({
  gpu: 'auto',
  build: 'never',
  skipDownload: true,
  progressLogs: false,
  maxThreads: threads,
  logger: () => {},
});
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({
  contextSize: CONTEXT_SIZE,
  sequences: SLOTS,
  batchSize: BATCH_SIZE,
  threads,
  flashAttention: 'auto',
});
const sequences = Array.from({ length: SLOTS }, () => context.getSequence());

serveOrders({}, async ({ prompts, tokens }) => {
  const startedAt = performance.now();
  const answers = await Promise.all(
    prompts.map((prompt, index) => generate({ sequence: sequences[index], prompt, tokens, startedAt })),
  );
  return { seconds: (performance.now() - startedAt) / 1000, answers };
});

async function generate({ sequence, prompt, tokens, startedAt }) {
  const input = model.tokenize(prompt, true);
  const { bos, shouldPrependBosToken } = model.tokens;
  if (shouldPrependBosToken && bos !== null && input[0] !== bos) input.unshift(bos);
  await sequence.clearHistory();
  const answer = [];
  let firstTokenMs;
  for await (const token of sequence.evaluate(input, { temperature: 0, yieldEogToken: true })) {
    firstTokenMs ??= performance.now() - startedAt;
    answer.push(token);
    if (answer.length >= tokens || model.isEogToken(token)) break;
  }
  return { tokens: answer.length, firstTokenMs };
}
