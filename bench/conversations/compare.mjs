// What prefix affinity saves on the real engine: the prompt tokens that it has to evaluate in conversations of more clients than there
// are slots, with and without it. Both sides get the very same questions. Tokens are as the engine counts them, so the figures do not
// depend on how busy the machine is; that is also why the first layers of the model are enough.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { longText } from '../engine/workload.mjs';
import { startExecutable } from '../executable.mjs';
import { packageVersions } from '../machine.mjs';
import { clientAddresses } from '../overload/client-addresses.mjs';
import { randomSource } from '../simulate/random.mjs';
import { show, summarize, table } from '../statistics.mjs';
import { writeShortenedModel } from './shortened-model.mjs';

const { defaultCacheDirectory } = await import('../../dist/config/environment.js');
const { ensureModel } = await import('../../dist/models/fetch.js');

const MODEL = 'smollm2-135m-instruct';
const SLOTS = 4;
const CONTEXT_SIZE = 4096;
const CLIENTS = 8;
const TURNS = 5;
const HOUR_MS = 3_600_000;
const SYSTEM = 'You answer questions about a log book, briefly and to the point.';
const DOCUMENT_TOKENS = { min: 200, max: 600 };
const QUESTION_TOKENS = { min: 16, max: 64 };
const ANSWER_TOKENS = { min: 16, max: 48 };

/** `atOnce`: questions that are asked together about what was said so far; `thinkMs`: between their answers and the next ones. */
const SHAPES = {
  single: { label: 'one question at a time', atOnce: 1, thinkMs: 200 },
  three: { label: 'three questions at once', atOnce: 3, thinkMs: 200 },
};
/** `scheduler.max_overtakes`: off and the default. */
const SIDES = { off: 0, on: 4 };

export async function run({ rounds, layers, only }) {
  const names = Array.from({ length: CLIENTS }, (_, index) => `client_${index}`);
  const addresses = await clientAddresses(names);
  if (addresses === undefined)
    throw new Error('this machine has no further loopback addresses to tell clients apart');
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-conversations-'));
  try {
    const model = join(folder, 'shortened.gguf');
    writeShortenedModel({ source: await modelFile(), target: model, layers });
    const measured = [];
    for (let round = 0; round < rounds; round += 1)
      measured.push(await measureRound({ round, model, addresses, only }));
    return {
      versions: packageVersions(['node-llama-cpp']),
      settings: { model: MODEL, layers, rounds, slots: SLOTS, clients: CLIENTS, turns: TURNS },
      rounds: measured,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureRound({ round, model, addresses, only }) {
  const result = {};
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (only !== undefined && only !== name) continue;
    result[name] = {};
    const sides = Object.entries(SIDES);
    if (round % 2 === 1) sides.reverse();
    for (const [side, maxOvertakes] of sides)
      result[name][side] = await measure({ shape, maxOvertakes, model, addresses, seed: 1 + round });
  }
  return result;
}

/** Fetched once, checked always. */
function modelFile() {
  return ensureModel(MODEL, {
    cacheDirectory: defaultCacheDirectory(),
    signal: new AbortController().signal,
    log: { debug() {}, info() {}, warn: console.warn, error: console.error },
    onProgress: () => {},
  });
}

async function measure({ shape, maxOvertakes, model, addresses, seed }) {
  // However busy the machine is, nothing runs out of time.
  const patient = { first_token_timeout_ms: HOUR_MS, idle_timeout_ms: HOUR_MS };
  const targets = [{ backend: 'llama-cpp', model, slots: SLOTS, context_size: CONTEXT_SIZE, ...patient }];
  const server = await startExecutable({
    flags: ['--rate-limit.enabled', 'false', '--scheduler.max-overtakes', String(maxOvertakes)],
    environment: {
      LLM_SERVE_MODELS: JSON.stringify([{ id: MODEL, targets }]),
      LLM_SERVE_SCHEDULER__QUEUE_TIMEOUT_MS: String(HOUR_MS),
      LLM_SERVE_GENERATION__REQUEST_TIMEOUT_MS: String(HOUR_MS),
    },
  });
  try {
    const used = await Promise.all(
      Object.values(addresses).map((address, index) =>
        converse({ url: server.url, address, shape, seed: seed * 1000 + index }),
      ),
    );
    const sum = (name) => used.flat().reduce((total, answer) => total + answer[name], 0);
    return {
      requests: used.flat().length,
      promptTokens: sum('prompt_tokens'),
      cachedTokens: sum('cached_tokens'),
    };
  } finally {
    await server.stop();
  }
}

/** One client: a document, and turns of questions about it. The conversation goes on with the first of those asked together. */
async function converse({ url, address, shape, seed }) {
  const random = randomSource(seed);
  const lengthOf = ({ min, max }) => random.integer(min, max);
  const messages = [
    { role: 'system', content: SYSTEM },
    { role: 'user', content: longText({ tokens: lengthOf(DOCUMENT_TOKENS), salt: seed }) },
    { role: 'assistant', content: 'I have read it.' },
  ];
  const used = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    await delay(random.exponential(shape.thinkMs));
    const questions = Array.from({ length: shape.atOnce }, (_, index) => ({
      role: 'user',
      content: `Question ${seed}/${turn}/${index}. ${longText({ tokens: lengthOf(QUESTION_TOKENS), salt: seed + index })} What was that?`,
    }));
    const maxTokens = lengthOf(ANSWER_TOKENS);
    const answers = await Promise.all(
      questions.map((question) =>
        ask(url, address, { messages: [...messages, question], max_tokens: maxTokens }),
      ),
    );
    used.push(...answers.map(({ usage }) => usage));
    messages.push(questions[0], { role: 'assistant', content: answers[0].text });
  }
  return used;
}

async function ask(url, localAddress, { messages, max_tokens }) {
  const body = JSON.stringify({ messages, max_tokens, temperature: 0 });
  const sent = request(`${url}/generate`, {
    method: 'POST',
    localAddress,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
  });
  sent.end(body);
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const piece of response.setEncoding('utf8')) text += piece;
  if (response.statusCode !== 200) throw new Error(`answered with ${response.statusCode}: ${text}`);
  return JSON.parse(text);
}

export function report({ rounds }) {
  const shares = (name, side) =>
    rounds.map((round) => 1 - round[name][side].cachedTokens / round[name][side].promptTokens);
  const percent = (values) => show(summarize(values.map((value) => value * 100)), 1);
  return table(
    [
      'conversations, 8 clients, 4 slots',
      'prompt tokens evaluated without, %',
      'with, %',
      'fewer evaluated, %',
    ],
    Object.entries(SHAPES)
      .filter(([name]) => rounds[0][name])
      .map(([name, { label }]) => {
        const off = shares(name, 'off');
        const on = shares(name, 'on');
        return [label, percent(off), percent(on), percent(off.map((share, round) => 1 - on[round] / share))];
      }),
  );
}
