/** A thousand requests of every kind, a third of them aborted: the engine’s memory stays what it was after a hundred. */
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { testCacheDirectory } from '../support/embedded-engine.ts';
import { startExecutable } from '../support/executable.ts';
import { metric } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';

const REQUESTS = 1000;
const WARM = 100;
const CLIENTS = 8;
const ABORTED_SHARE = 0.3;
const GROWTH_AT_MOST = 1.05;
/** Its heap is collected when it pleases. */
const API_GROWTH_AT_MOST = 1.15;

const SCHEMA = {
  type: 'object',
  properties: { word: { type: 'string', maxLength: 12 }, count: { type: 'integer', minimum: 0, maximum: 9 } },
  required: ['word', 'count'],
};
const TOOLS = [
  { name: 'get_weather', parameters: { type: 'object', properties: { city: { enum: ['Rome', 'Paris'] } } } },
];

/** What a request asks for beside its prompt. */
const KINDS: readonly object[] = [
  { temperature: 0 },
  { temperature: 1, seed: 3 },
  { temperature: 0.7, repeat_penalty: 1.2, logit_bias: { '7042': -5 } },
  { logprobs: true, top_logprobs: 5 },
  { format: 'json' },
  { format: SCHEMA, temperature: 1 },
  { grammar: 'root ::= "yes" | "no"' },
  { tools: TOOLS, tool_choice: 'required' },
  { tools: TOOLS },
];

test('memory after 1,000 mixed requests with 30 % aborts is within 5 % of that after the first 100', async () => {
  const server = await startExecutable({
    flags: ['--rate-limit.enabled', 'false', '--cache.directory', testCacheDirectory()],
    environment: {
      LLM_SERVE_MODELS: JSON.stringify([
        {
          id: 'm',
          targets: [{ backend: 'llama-cpp', model: 'smollm2-135m-instruct', slots: 4, context_size: 512 }],
        },
      ]),
    },
    endsWith: onTestFinished,
  });
  await whenReady(server);
  const { pid } = await server.logged(({ msg }) => msg === 'engine ready');
  const pids = { engine: Number(pid), api: server.pid };

  await ask(server.url, 0, WARM);
  const before = { engine: residentBytes(pids.engine), api: residentBytes(pids.api) };
  await ask(server.url, WARM, REQUESTS);
  const after = { engine: residentBytes(pids.engine), api: residentBytes(pids.api) };
  process.stdout.write(`resident MB: ${JSON.stringify({ before, after })}\n`);
  expect(after.engine / before.engine).toBeLessThan(GROWTH_AT_MOST);
  expect(after.api / before.api).toBeLessThan(API_GROWTH_AT_MOST);
  expect(await metric(server, 'llm_serve_slots_used')).toBe(0);
});

async function ask(url: string, from: number, to: number): Promise<void> {
  let next = from;
  async function client(): Promise<void> {
    while (next < to) {
      const index = next;
      next += 1;
      const leaving = new AbortController();
      const isAborted = (index * 7919) % 100 < ABORTED_SHARE * 100;
      const timer = isAborted ? setTimeout(() => leaving.abort(), (index * 31) % 150) : undefined;
      await fetch(`${url}${index % 2 === 0 ? '/generate' : '/stream'}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          prompt: `Request ${index}: say something about ${'many different things '.repeat(index % 9)}.`,
          max_tokens: 16,
          ...KINDS[index % KINDS.length],
        }),
        signal: leaving.signal,
      })
        .then((response) => response.text())
        .catch(() => {});
      clearTimeout(timer);
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
