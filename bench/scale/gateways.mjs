// What is measured of workers, on any number of cores: the two calls, the instant upstream with its load, and the gateways in front of it.
import { startOurs } from '../servers.mjs';
import { startWorker } from '../worker.mjs';

const PROMPT = 'What is the capital of France?';
export const CALLS = {
  native: { path: '/generate', body: { prompt: PROMPT, max_tokens: 8, temperature: 0 } },
  openai: {
    path: '/v1/chat/completions',
    body: { model: 'bench', stream: true, max_tokens: 8, messages: [{ role: 'user', content: PROMPT }] },
  },
};
export const CALL_LABELS = { native: 'POST /generate', openai: 'streamed chat' };

export async function startAround({ keep, loads: count }) {
  const upstream = keep(await startWorker(new URL('../gateway/upstream.mjs', import.meta.url)));
  const loads = [];
  for (let index = 0; index < count; index += 1)
    loads.push(keep(await startWorker(new URL('../load.mjs', import.meta.url))));
  return { upstream, loads, upstreamUrl: `http://127.0.0.1:${upstream.hello.port}` };
}

/** By the names of `shapes`. `options`: of startOurs, with flags for all of them. */
export async function startGateways({ keep, shapes, ...options }) {
  const gateways = {};
  for (const [name, { servers, workers }] of Object.entries(shapes)) {
    const flags = [...options.flags, '--server.workers', String(workers)];
    const started = [];
    for (let index = 0; index < servers; index += 1)
      started.push(keep(await startOurs({ ...options, flags })));
    gateways[name] = { urls: started.map(({ url }) => url), pids: started.map(({ pid }) => pid) };
  }
  return gateways;
}
