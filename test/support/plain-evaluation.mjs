/**
 * node-llama-cpp by itself, without any of our engine: one sequence, greedy, one prompt after the other, in a process of
 * its own. Answers `{ modelPath, prompts, tokens, flashAttention }` with a list of plain answers (exactness.ts), each
 * token scored twice: decoded one by one, and all of them in one batch.
 */
import { getLlama } from 'node-llama-cpp';

/** Of each place, the likeliest that are told. */
const LIKELIEST = 20;
/** What is longer is read in pieces the second time, as the engine reads beside running answers. */
const PIECE = 24;

// Whoever asked is gone, or has the answers.
process.once('disconnect', () => process.exit(0));
process.once('message', async ({ modelPath, prompts, tokens, flashAttention }) => {
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: 2048,
    sequences: 1,
    // As the engine reads a prompt that is alone.
    batchSize: 64,
    // Threads of a step wait for each other, which collapses beside any other load.
    threads: 1,
    flashAttention,
  });
  const sequence = context.getSequence();
  const endTokens = [...model.iterateAllTokens()].filter((token) => model.isEogToken(token));
  const answers = [];
  for (const { name, prompt } of prompts) {
    const read = model.tokenize(prompt, true);
    if (model.tokens.shouldPrependBosToken && read[0] !== model.tokens.bos) read.unshift(model.tokens.bos);
    await sequence.clearHistory();
    const scored = await oneByOne(sequence, read, tokens, endTokens);
    const chosen = scored.map(({ token }) => token);
    const again = await inOneBatch(sequence, read, chosen);
    answers.push({ name, promptTokens: read, scored, again, endTokens });
  }
  process.send(answers, () => process.disconnect());
});

async function oneByOne(sequence, prompt, most, endTokens) {
  const scored = [];
  let input = [...prompt.slice(0, -1), [prompt.at(-1), asking()]];
  while (scored.length < most) {
    const { next } = (await sequence.controlledEvaluate(input)).at(-1);
    scored.push(scoreOf(next.token, next));
    if (endTokens.includes(next.token)) break;
    input = [[next.token, asking()]];
  }
  return scored;
}

/** The same tokens after the same prompt, in steps of another shape: all that is chosen from in one. */
async function inOneBatch(sequence, prompt, chosen) {
  await sequence.clearHistory();
  let read = 0;
  for (; prompt.length - read > PIECE; read += PIECE) {
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(read, read + PIECE));
  }
  const first = prompt.length - read - 1;
  const followed = [...prompt.slice(read), ...chosen.slice(0, -1)];
  const input = followed.map((token, place) =>
    place < first ? token : [token, asking(chosen[place - first])],
  );
  const output = await sequence.controlledEvaluate(input);
  return chosen.map((token, place) => scoreOf(token, output[first + place].next));
}

/** The likeliest token, the logits of the likeliest ones (and of `token`), and what norms them. */
function asking(token) {
  const filter = { tokens: token === undefined ? [] : [token], includeSelected: true, includeTop: LIKELIEST };
  const generateNext = {
    token: true,
    logits: { filter },
    totalLogitWeight: true,
    options: { temperature: 0 },
  };
  return { generateNext };
}

function scoreOf(token, { logits, totalLogitWeight }) {
  const ranked = [...logits].sort(([, a], [, b]) => b - a);
  const norm = ranked[0][1] + Math.log(totalLogitWeight);
  const top = ranked.slice(0, LIKELIEST).map(([id, logit]) => [id, logit - norm]);
  return { token, logprob: logits.get(token) - norm, top };
}
