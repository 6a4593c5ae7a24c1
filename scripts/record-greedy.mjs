// Records what llama.cpp's own server makes of the fixed prompts (the catalogue's default model): their tokens, to which a test
// holds our engine, and its greedy answers, on which the comparison of evaluations is tried:
//   llama-server -m MODEL.gguf -c 8192 -np 4 -fa off --port 8080 &
//   node scripts/record-greedy.mjs http://127.0.0.1:8080 "b11434, -fa off" llama-server
import { readFileSync, writeFileSync } from 'node:fs';

const FOLDER = new URL('../test/fixtures/greedy/', import.meta.url);
const TOKENS = 48;
/** Of each answer’s first tokens the likeliest are recorded as well. */
const LOGPROB_TOKENS = 6;

const [url, version, name] = process.argv.slice(2);
if (!url || !version || !name) throw new Error('usage: record-greedy.mjs URL VERSION NAME');

const prompts = JSON.parse(readFileSync(new URL('prompts.json', FOLDER), 'utf8'));
const answers = [];
for (const { name, prompt } of prompts) {
  const { tokens: promptTokens } = await post('/tokenize', {
    content: prompt,
    add_special: true,
    parse_special: true,
  });
  const answer = await post('/completion', {
    prompt,
    n_predict: TOKENS,
    temperature: 0,
    repeat_penalty: 1,
    n_probs: 3,
    return_tokens: true,
    cache_prompt: false,
  });
  answers.push({
    name,
    promptTokens,
    tokens: answer.tokens,
    text: answer.content,
    logprobs: answer.completion_probabilities.slice(0, LOGPROB_TOKENS).map(describe),
  });
  process.stdout.write(`${name}: ${answer.tokens.length} tokens\n`);
}
// An answer a line.
const lines = answers.map((answer) => JSON.stringify(answer)).join(',\n');
writeFileSync(
  new URL(`${name}.json`, FOLDER),
  `{"server":"llama-server ${version}","tokens":${TOKENS},"answers":[\n${lines}\n]}\n`,
);

function describe({ id, bytes, logprob, top_logprobs }) {
  const top = top_logprobs.map(({ id: token, logprob: value }) => [token, round(value)]);
  return { token: id, bytes, logprob: round(logprob), top };
}

function round(value) {
  return Math.round(value * 1e4) / 1e4;
}

async function post(path, body) {
  const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return response.json();
}
