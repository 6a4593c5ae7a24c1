// What `npm run check:nodes` tries under one Node: a server over the scripted backend, one in front of it that speaks to
// it over HTTP as to any OpenAI-compatible server, and the embedded engine where it is installed and has its model.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const READY_WITHIN_MS = 120_000;
const ENDED_WITHIN_MS = 30_000;
/** As many as the steps ask for; the next one is refused. */
const LIMIT = 5;
const MODEL_FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';

/** Each step with what it checks of the answer; all of them ask the server in front. */
const STEPS = [
  ['health', async ({ url }) => assert.equal((await fetch(`${url}/health`)).status, 200)],
  ['ready', async ({ url }) => assert.equal((await fetch(`${url}/ready`)).status, 200)],
  [
    'generate',
    async (server) => {
      const { text, usage } = JSON.parse((await post(server, '/generate', { prompt: 'one two three' })).text);
      assert.ok(text.length > 0 && usage.completion_tokens > 0, 'a text and its tokens');
    },
  ],
  [
    'stream',
    async (server) => {
      const { text } = await post(server, '/stream', { prompt: 'one two three' });
      assert.match(text, /data: \{"token":/);
      assert.ok(text.endsWith('data: [DONE]\n\n'), 'it ends with [DONE]');
    },
  ],
  [
    'chat',
    async (server) => {
      const { choices } = JSON.parse((await post(server, '/v1/chat/completions', chat(false))).text);
      assert.equal(choices[0].finish_reason, 'stop');
    },
  ],
  [
    'chat stream',
    async (server) => {
      const { text } = await post(server, '/v1/chat/completions', chat(true));
      assert.ok(text.endsWith('data: [DONE]\n\n'), 'it ends with [DONE]');
    },
  ],
  [
    'messages',
    async (server) => {
      const body = { ...chat(false), max_tokens: 16 };
      assert.equal(JSON.parse((await post(server, '/v1/messages', body)).text).type, 'message');
    },
  ],
  [
    '429',
    async (server) => {
      const { headers } = await post(server, '/generate', { prompt: 'one too many' }, 429);
      assert.equal(headers.get('x-ratelimit-remaining'), '0');
      assert.match(headers.get('retry-after') ?? '', /^\d+$/);
    },
  ],
  [
    'metrics',
    async ({ url }) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      assert.match(text, /^llm_serve_requests_total\{[^}]*route="\/generate",status="200"[^}]*\} 1$/m);
      assert.match(text, /^llm_serve_requests_total\{[^}]*route="\/generate",status="429"[^}]*\} 1$/m);
    },
  ],
  [
    'store',
    async ({ folder, output }) =>
      assert.ok(existsSync(join(folder, '.local', 'share', 'llm-serve', 'llm-serve.sqlite')), output),
  ],
  ['shutdown', endPolitely],
];

/** `{name, state: 'ok' | 'failed' | 'skipped', reason}` of each step. */
export async function smoke(executable) {
  const results = [];
  const attempt = async (name, run) => {
    try {
      await run();
      results.push({ name, state: 'ok' });
    } catch (error) {
      results.push({ name, state: 'failed', reason: error.message });
    }
  };
  const started = [];
  const start = async (flags, environment) => {
    const server = startServer(executable, flags, environment);
    started.push(server);
    await ready(server);
    return server;
  };
  try {
    let front;
    await attempt('start', async () => {
      const behind = await start([...modelFlags('scripted', 'demo'), '--rate-limit.enabled', 'false']);
      const limit = ['--rate-limit.enabled', 'true', '--rate-limit.requests', String(LIMIT)];
      front = await start([...modelFlags('openai-compatible', 'demo', behind.url), ...limit]);
    });
    if (front) for (const [name, check] of STEPS) await attempt(name, () => check(front));
    const missing = whatTheEngineLacks();
    if (missing) results.push({ name: 'embedded engine', state: 'skipped', reason: missing });
    else
      await attempt('embedded engine', async () => {
        const flags = ['--rate-limit.enabled', 'false'];
        const server = await start(flags, { LLM_SERVE_CACHE__DIRECTORY: cacheDirectory() });
        const { text } = await post(server, '/generate', { prompt: 'Say hi.', max_tokens: 4 });
        assert.ok(JSON.parse(text).usage.completion_tokens > 0, 'tokens');
        await endPolitely(server);
      });
  } finally {
    await Promise.all(started.map(endAtOnce));
  }
  return results;
}

const chat = (stream) => ({ model: 'demo', stream, messages: [{ role: 'user', content: 'one two three' }] });

const modelFlags = (backend, model, url) => [
  '--models',
  JSON.stringify([{ id: 'demo', targets: [{ backend, model, ...(url ? { url } : {}) }] }]),
];

async function post({ url }, path, body, status = 200) {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  assert.equal(answer.status, status, `${path} answered ${answer.status}: ${text}`);
  return { headers: answer.headers, text };
}

function startServer(executable, flags, environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-node-'));
  const child = spawn(executable, [MAIN, '--port', '0', ...flags], {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      LLM_SERVE_SERVER__SHUTDOWN_DELAY_SECONDS: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = { child, folder, url: undefined, output: '', ended: undefined };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      server.output += text;
    });
  server.ended = new Promise((resolve) =>
    child.once('close', (code, signal) => {
      rmSync(folder, { recursive: true, force: true });
      resolve(code ?? signal);
    }),
  );
  return server;
}

async function ready(server) {
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  while (Date.now() < giveUpAt && server.child.exitCode === null) {
    server.url ??= / listens on (http:[^"\s]+)"/.exec(server.output)?.[1];
    if (server.url && (await fetch(`${server.url}/ready`)).status === 200) return;
    await delay(50);
  }
  throw new Error(`the server did not become ready:\n${server.output}`);
}

async function endPolitely(server) {
  server.child.kill('SIGTERM');
  const late = delay(ENDED_WITHIN_MS, 'not in time', { ref: false });
  assert.equal(await Promise.race([server.ended, late]), 0, `its end; it wrote:\n${server.output}`);
  assert.match(server.output, /"msg":"stopped"/);
}

async function endAtOnce(server) {
  server.child.kill('SIGKILL');
  await server.ended;
}

/** Why the embedded engine is not tried; undefined where it can be. */
function whatTheEngineLacks() {
  try {
    createRequire(import.meta.url).resolve('node-llama-cpp');
  } catch {
    return 'node-llama-cpp is not installed';
  }
  const path = join(cacheDirectory(), MODEL_FILE);
  return existsSync(path) ? undefined : 'the default model is not in the cache; npm start fetches it';
}

/** As the tests know it. */
function cacheDirectory() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return process.env.LLM_SERVE_TEST_CACHE ?? join(base, 'llm-serve', 'models');
}
