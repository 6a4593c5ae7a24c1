/**
 * Behind Ray Serve, for real: two nodes, an OpenAI ingress on each, and as many replicas of a small model server as Serve wants, as
 * `deploy/ray/` has them. Times are not asserted; what was seen is printed.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { DEFAULT_MODEL, ENGINE_THREADS, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import { askFor, type Outcome } from '../support/faults/asks.ts';
import { ask } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { type ComposedServer, startServer } from '../support/server.ts';
import { findRay, type RealRay, type ServeChanges, startRay } from './real-ray.ts';

const EXECUTABLE = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const SLOTS = 4;
/** Serve starts and stops replicas at a pace of its own. */
const PATIENTLY = { interval: 500, timeout: 600_000 };
/** As `min_replicas` and `max_replicas` of deploy/ray/serve-cpu.yaml. */
const FEWEST = 2;
const MOST = 4;

/** Serve looks and decides within seconds instead of minutes. */
const QUICK = {
  min_replicas: FEWEST,
  max_replicas: MOST,
  metrics_interval_s: 0.5,
  look_back_period_s: 2,
  upscale_delay_s: 1,
  downscale_delay_s: 3,
};

/** Answers of about a second: 20 tokens, one each 50 ms. */
const SCRIPTED: ServeChanges = {
  model: 'small',
  autoscaling: QUICK,
  command: [
    ...[process.execPath, EXECUTABLE, 'serve', '--rate-limit.enabled', 'false', '--models'],
    JSON.stringify([
      {
        id: 'small',
        targets: [{ backend: 'scripted', model: 'small', slots: SLOTS, tokens: 20, token_delay_ms: 50 }],
      },
    ]),
  ],
};

/** As in deploy/ray/serve-cpu.yaml. */
const EMBEDDED: ServeChanges = {
  model: 'smollm2',
  autoscaling: { ...QUICK, max_replicas: FEWEST },
  command: [
    ...[process.execPath, EXECUTABLE, 'serve', '--cache.directory', testCacheDirectory(), '--models'],
    JSON.stringify([
      {
        id: 'smollm2',
        targets: [{ backend: 'llama-cpp', model: DEFAULT_MODEL, slots: SLOTS, threads: ENGINE_THREADS }],
      },
    ]),
  ],
};

const found = findRay();
let ray: RealRay | undefined;

beforeAll(async () => {
  if ('missing' in found) return;
  ray = await startRay(found.folder);
});
afterAll(async () => {
  await ray?.remove();
});

/** Ours in front, as in deploy/ray/llm-serve.yaml: a target for each node. */
async function inFront({ proxies }: RealRay, model: string): Promise<ComposedServer> {
  const targets = proxies.map((url, at) => ({
    ...{ name: `ray-node-${at + 1}`, backend: 'openai-compatible', url, model, slots: 'auto' },
  }));
  const server = await startServer({
    flags: ['--models', JSON.stringify([{ id: 'm', targets }]), '--rate-limit.enabled', 'false'],
    endsWith: onTestFinished,
  });
  await whenReady(server);
  return server;
}

const asking = (server: ComposedServer, index: number): Promise<Outcome> =>
  askFor(
    server,
    { protocol: 'openai-chat', form: index % 2 === 0 ? 'stream' : 'whole' },
    `Question ${index}.`,
    { maxTokens: 20 },
  );

/** `clients` ask one after the other for as long as `goesOn`. */
async function load(
  server: ComposedServer,
  clients: number,
  goesOn: (ended: number) => boolean,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let asked = 0;
  const client = async () => {
    while (goesOn(outcomes.length)) {
      asked += 1;
      outcomes.push(await asking(server, asked));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return outcomes;
}

const unanswered = (outcomes: readonly Outcome[]) =>
  outcomes.filter(({ kind }) => kind !== 'answer').map(({ kind, status, body }) => ({ kind, status, body }));

async function slotsOf(server: ComposedServer): Promise<number> {
  const { text } = await ask(`${server.url}/metrics`);
  const samples = [...text.matchAll(/^llm_serve_slots\{.*\} (\d+)$/gm)];
  return samples.reduce((sum, [, value]) => sum + Number(value), 0);
}

/** How many requests a model server has been asked; none if it does not listen yet, or no more. */
async function answeredBy(url: string): Promise<number> {
  const text = await ask(`${url}/metrics`).then(
    (answer) => answer.text,
    () => '',
  );
  const samples = [
    ...text.matchAll(/^llm_serve_requests_total\{.*route="\/v1\/chat\/completions".*\} (\d+)$/gm),
  ];
  return samples.reduce((sum, [, value]) => sum + Number(value), 0);
}

describe('behind Ray Serve', () => {
  const running = (): RealRay => {
    if (ray === undefined) throw new Error('Ray does not run');
    return ray;
  };
  beforeEach((context) => {
    if ('missing' in found) context.skip(found.missing);
  });

  it('requests are spread over the replicas of both nodes', async () => {
    await running().deploy(SCRIPTED);
    const server = await inFront(running(), 'small');
    expect(unanswered(await load(server, 8, (ended) => ended < 32))).toEqual([]);
    const urls = [...running().modelServers(0), ...running().modelServers(1)];
    const answered = await Promise.all(urls.map(answeredBy));
    process.stdout.write(`Ray ${running().version}: answered by each replica: ${answered.join(', ')}\n`);
    expect(answered.filter((count) => count > 0).length).toBeGreaterThanOrEqual(FEWEST);
  });

  it('Serve scales up under load that waits here, its replicas are all used and kept, and it scales down again', async () => {
    const server = await inFront(running(), 'small');
    const replicas = async () => (await running().replicas()).length;
    const servers = () => [...running().modelServers(0), ...running().modelServers(1)];
    await expect.poll(replicas, PATIENTLY).toBe(FEWEST);
    let now = 0;
    let last = Number.POSITIVE_INFINITY;
    const loading = load(server, 40, (ended) => {
      now = ended;
      return ended < last;
    });
    await expect.poll(replicas, PATIENTLY).toBe(MOST);
    const slotsAtFirst = await slotsOf(server);
    last = now + 800;
    let fewest = MOST;
    await expect
      .poll(async () => {
        fewest = Math.min(fewest, await replicas());
        return now;
      }, PATIENTLY)
      .toBeGreaterThan(last - 100);
    const slots = await slotsOf(server);
    const answered = await Promise.all(servers().map(answeredBy));
    const outcomes = await loading;
    process.stdout.write(
      `${outcomes.length} answers by 40 clients; replicas ${FEWEST} → ${MOST}, never below ${fewest} then; slots of ours ${slotsAtFirst} → ${slots}; answered by each: ${answered.join(', ')}\n`,
    );
    expect(unanswered(outcomes)).toEqual([]);
    expect(fewest).toBe(MOST);
    expect(answered.filter((count) => count > 0)).toHaveLength(MOST);
    await expect.poll(replicas, PATIENTLY).toBe(FEWEST);
    expect(unanswered(await load(server, 8, (ended) => ended < 32))).toEqual([]);
  });

  it('replicas with the embedded engine answer', async () => {
    await modelPath();
    await running().deploy(EMBEDDED);
    const server = await inFront(running(), EMBEDDED.model);
    expect(unanswered(await load(server, 4, (ended) => ended < 12))).toEqual([]);
    const { text } = await askFor(
      server,
      { protocol: 'openai-chat', form: 'stream' },
      'What is the capital of France?',
    );
    expect(text).toContain('Paris');
  });

  it('a node is killed while both answer: no request fails, streams go on', async () => {
    await running().deploy(SCRIPTED);
    const server = await inFront(running(), 'small');
    let killed = 0;
    const outcomes = await load(server, 12, (ended) => {
      if (ended >= 24 && killed === 0) killed = running().killSecondNode();
      return ended < 120;
    });
    const tries = outcomes.map(({ attempts }) => Number(attempts ?? 1));
    process.stdout.write(
      `${killed} processes killed; ${outcomes.length} requests, ${tries.filter((count) => count > 1).length} tried again, ${unanswered(outcomes).length} failed\n`,
    );
    expect(killed).toBeGreaterThan(2);
    expect(unanswered(outcomes)).toEqual([]);
    expect(new Set(outcomes.map(({ text }) => text.split(' ').length)).size).toBe(1);
  });
});
