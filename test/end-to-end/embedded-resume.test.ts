/** The real embedded engine is killed with SIGKILL in the middle of its work: its requests are finished by the next one. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_MODEL, ENGINE_THREADS, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import {
  ask,
  eventsOf,
  metric,
  type OpenAnswer,
  openAnswer,
  stream,
  tokensOf,
} from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { type ComposedServer, endingAfterAll, startServer } from '../support/server.ts';

const WITHIN = { timeout: 120_000, interval: 20 };
const SLOTS = 2;
const PROMPTS = [
  'Write a long story about the sea.',
  'Describe how bread is made.',
  'Tell me about the planets.',
  'Write a poem about the moon.',
];

const greedy = (prompt: string, max_tokens = 96) => ({ prompt, temperature: 0, max_tokens });
/** Of an answer alone. */
const COMPARED_TOKENS = 32;

const endsWith = endingAfterAll();
let server: ComposedServer;

beforeAll(async () => {
  await modelPath();
  const target = { backend: 'llama-cpp', gpu: 'off', threads: ENGINE_THREADS, model: DEFAULT_MODEL };
  const models = [{ id: 'smollm2', targets: [{ ...target, context_size: 512, slots: SLOTS }] }];
  server = await startServer({
    flags: [
      ...['--models', JSON.stringify(models), '--cache.directory', testCacheDirectory()],
      ...['--rate-limit.enabled', 'false'],
    ],
    endsWith,
  });
});

beforeEach(() => whenReady(server));

/** The process of the engine that runs now. */
function enginePid(): number {
  return Number(server.logs().findLast(({ msg }) => msg === 'engine ready')?.pid);
}

function open(body: object): Promise<OpenAnswer> {
  return openAnswer(`${server.url}/stream`, { body });
}

const tokensIn = (text: string) => text.split('"token"').length - 1;

/** Kills the engine once each of the streams has so many tokens. */
async function killAfter(tokens: number, streams: readonly OpenAnswer[]): Promise<void> {
  await Promise.all(streams.map(({ until }) => until((text) => tokensIn(text) >= tokens)));
  process.kill(enginePid(), 'SIGKILL');
}

describe('an engine that is killed', () => {
  test('under more greedy streams than it has slots: those that it held go on, those that waited run, none has a wrong character', async () => {
    const alone: string[] = [];
    for (const prompt of PROMPTS)
      alone.push(tokensOf((await stream(server, greedy(prompt, COMPARED_TOKENS))).text));
    const answers = PROMPTS.map((prompt) => open(greedy(prompt)));
    await killAfter(5, await Promise.all(answers.slice(0, SLOTS)));
    const texts = await Promise.all((await Promise.all(answers)).map(({ whole }) => whole));
    const ends = texts.map((text) => eventsOf(text).at(-1));
    // What is decoded beside a request decides between two tokens that are nearly equal: one answer may differ from itself.
    const exact = texts.filter((text, at) => tokensOf(text).startsWith(alone[at] as string));
    expect(exact.length).toBeGreaterThanOrEqual(PROMPTS.length - 1);
    for (const end of ends) if (end?.error) expect(end.error.message).toContain('The engine stopped');
    expect(ends.filter((end) => end !== undefined && 'resumed' in end).length).toBeGreaterThanOrEqual(
      SLOTS - 1,
    );
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(0);
  });

  test('in the middle of a sampled stream: it goes on, and has its tokens counted once', async () => {
    const answer = await open({ prompt: PROMPTS[0], temperature: 0.9, max_tokens: 128 });
    await killAfter(3, [answer]);
    const before = tokensOf(answer.text());
    const text = await answer.whole;
    expect(text).toContain('[DONE]');
    expect(tokensOf(text).startsWith(before)).toBe(true);
    expect(eventsOf(text).at(-1)).toMatchObject({
      resumed: 1,
      finish_reason: 'length',
      usage: { completion_tokens: 128 },
    });
  });

  test('while it works on prompts of which no token has come: each is answered', async () => {
    const prompt = `${'The sea is wide. '.repeat(60)} What is wide?`;
    // More than fit into the slots: they are taken for as long as all of them need.
    const answers = Array.from({ length: 8 }, (_, at) =>
      ask(`${server.url}/generate`, { body: { prompt: `${at}. ${prompt}`, temperature: 0, max_tokens: 4 } }),
    );
    await expect.poll(() => metric(server, 'llm_serve_slots_used'), WITHIN).toBe(SLOTS);
    process.kill(enginePid(), 'SIGKILL');
    for (const answer of await Promise.all(answers)) expect(answer.status, answer.text).toBe(200);
  });
});
