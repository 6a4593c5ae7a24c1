// llama.cpp's own server with the same model file, threads and context, where LLAMA_SERVER names its executable.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { openHttpSide } from './http-side.mjs';
import { CONTEXT_SIZE, SLOTS } from './workload.mjs';

const EXECUTABLE = process.env.LLAMA_SERVER;
const PORT = 18_099;
const READY_WITHIN_MS = 60_000;

export const hasLlamaServer = EXECUTABLE !== undefined;

/** Its libraries lie beside it in some packages. */
const environment = () => ({ ...process.env, LD_LIBRARY_PATH: dirname(EXECUTABLE) });

export function llamaServerVersion() {
  const { stderr, stdout } = spawnSync(EXECUTABLE, ['--version'], { env: environment(), encoding: 'utf8' });
  return /version: (\S+)/.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
}

export async function startLlamaServer({ modelPath }) {
  const argv = [
    ...['--model', modelPath, '--parallel', SLOTS, '--ctx-size', SLOTS * CONTEXT_SIZE],
    ...['--threads', availableParallelism(), '--host', '127.0.0.1', '--port', PORT],
  ];
  const child = spawn(EXECUTABLE, argv.map(String), { env: environment(), stdio: 'ignore' });
  const exited = once(child, 'exit');
  const end = () => child.kill('SIGTERM');
  process.once('exit', end);
  const url = `http://127.0.0.1:${PORT}`;
  await isReady(url);
  return openHttpSide({
    url,
    stop: async () => {
      process.off('exit', end);
      end();
      await exited;
    },
    whole: { path: '/completion', countOf: (answer) => answer.tokens_predicted },
    stream: {
      path: '/completion',
      isToken: (data) => data.includes('"stop":false'),
      textOf: (data) => JSON.parse(data).content,
    },
    body: ({ prompt, tokens, streams }) => ({
      prompt,
      n_predict: tokens,
      temperature: 0,
      repeat_penalty: 1,
      stream: streams,
    }),
    promptOf: ({ timings }) => ({
      promptTokens: timings.cache_n + timings.prompt_n,
      cachedTokens: timings.cache_n,
    }),
  });
}

async function isReady(url) {
  for (const giveUpAt = Date.now() + READY_WITHIN_MS; Date.now() < giveUpAt; await delay(100)) {
    const answer = await request(`${url}/health`).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return;
  }
  throw new Error('llama-server did not become ready');
}
