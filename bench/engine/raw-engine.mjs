// node-llama-cpp by itself, with the settings of our engine's process and nothing around it: each order is a wave of
// prompts that are generated from at the same time.
import { availableParallelism } from 'node:os';
import { getLlama } from 'node-llama-cpp';
import { serveOrders } from '../worker.mjs';
import { batchSize, CONTEXT_SIZE } from './workload.mjs';

const [modelPath, sequenceCount] = [process.argv[2], Number(process.argv[3])];
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
  sequences: sequenceCount,
  batchSize: batchSize(sequenceCount),
  threads,
});
const sequences = Array.from({ length: sequenceCount }, () => context.getSequence());

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
