/** Which of three servers gets a request, over real sockets: by what each reports of its load, and by what it has cached. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { generate } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { type RunningServer, startServer } from '../support/server.ts';
import type { PlayedLoad } from '../support/stand-ins/openai-load.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';
import type { StandIn } from '../support/stand-ins/stand-in-server.ts';

/** Three servers that play vLLM 0.32.0, one model on all of them, and one of ours in front. */
async function three(loads: readonly PlayedLoad[], flags: readonly string[] = []) {
  const servers = await Promise.all(loads.map((load) => startOpenAiStandIn({ load })));
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.close()));
  });
  return { servers, ours: await inFrontOf(servers, flags) };
}

async function inFrontOf(servers: readonly StandIn[], flags: readonly string[] = []): Promise<RunningServer> {
  const targets = servers.map(({ url, model }, index) => ({
    backend: 'vllm',
    name: `v${index}`,
    url,
    model,
  }));
  const ours = await startServer({
    flags: [
      ...['--models', JSON.stringify([{ id: 'm', targets }]), '--rate-limit.enabled', 'false', ...flags],
    ],
    endsWith: onTestFinished,
  });
  await whenReady(ours);
  // The first target makes the model ready; all of them have to be.
  for (const server of servers)
    await server.until(() => server.seen().some(({ path }) => path === '/metrics'));
  return ours;
}

const asked = (server: StandIn): number => server.counts().started;

/** The server that answered the conversation, which had so many turns before. */
async function whoAnswers(
  servers: readonly StandIn[],
  ours: RunningServer,
  opening: string,
  turns = 0,
): Promise<number> {
  const before = servers.map(asked);
  const later = Array.from({ length: turns }, (_, turn) => [
    { role: 'assistant', content: `answer ${turn}` },
    { role: 'user', content: `question ${turn}` },
  ]);
  const messages = [{ role: 'user', content: opening }, ...later.flat()];
  const answer = await generate(ours, { messages, max_tokens: 2 });
  expect(answer.status).toBe(200);
  return servers.findIndex((server, index) => asked(server) > (before[index] ?? 0));
}

describe('three servers', () => {
  it('get requests by what they report', async () => {
    const loads = [
      { running: 40, waiting: 4, kvCacheUsed: 0.9 },
      { running: 2, kvCacheUsed: 0.05 },
      { running: 40, waiting: 0, kvCacheUsed: 0.5 },
    ];
    const { servers, ours } = await three(loads, ['--routing.prefix-affinity', 'false']);
    await expect.poll(() => whoAnswers(servers, ours, 'hello')).toBe(1);
    for (let time = 0; time < 5; time += 1) expect(await whoAnswers(servers, ours, 'hello')).toBe(1);
  });

  it('get the prompts that begin alike, each its own, and another server of ours decides alike', async () => {
    const { servers, ours } = await three([{}, {}, {}]);
    const prompts = Array.from({ length: 12 }, (_, index) => `conversation ${index}`);
    await expect
      .poll(async () => {
        const homes = new Set<number>();
        for (const prompt of prompts) homes.add(await whoAnswers(servers, ours, prompt));
        return homes.size;
      })
      .toBe(3);
    const other = await inFrontOf(servers);
    for (const prompt of prompts) {
      const home = await whoAnswers(servers, ours, prompt);
      expect(await whoAnswers(servers, ours, prompt, 1)).toBe(home);
      await expect.poll(() => whoAnswers(servers, other, prompt, 2)).toBe(home);
    }
  });
});
