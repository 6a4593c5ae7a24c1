/** The closed-loop client of the benchmarks, the processor time they read, and what they make of their results. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';

interface Program {
  ask(order: object): Promise<{ readonly requestsPerSecond: number; readonly p50Ms: number }>;
  stop(): Promise<unknown>;
}

const benchUrl = (path: string) => new URL(`../../../bench/${path}`, import.meta.url);
const bench = (path: string) => import(benchUrl(path).href);
const { startWorker }: { startWorker: (script: URL) => Promise<Program> } = await bench('worker.mjs');
const { cpuPerUnit, residentBytes } = await bench('process-usage.mjs');
const { withResult } = await bench('results.mjs');
const { atLeast, atMost, target, targetsTable } = await bench('targets.mjs');
const { rotate, selected } = await bench('rounds.mjs');

const started: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  started.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function startLoad(): Promise<Program> {
  const load = await startWorker(benchUrl('load.mjs'));
  started.push(() => load.stop());
  return load;
}

it('sends as many requests as it is told, over all connections together', async () => {
  let answered = 0;
  const url = await serve((request, response) => {
    request.resume();
    answered += 1;
    response.end('{}');
  });
  const load = await startLoad();
  const { requestsPerSecond, p50Ms } = await load.ask({
    url,
    path: '/',
    body: '{}',
    connections: 7,
    requests: 100,
  });
  expect(answered).toBe(100);
  expect(requestsPerSecond).toBeGreaterThan(0);
  expect(p50Ms).toBeGreaterThan(0);
});

it('does not take a fast error for an answer', async () => {
  const url = await serve((request, response) => {
    request.resume();
    response.writeHead(429).end('{}');
  });
  const load = await startLoad();
  const order = { url, path: '/', body: '{}', connections: 2, requests: 10 };
  await expect(load.ask({ ...order, status: 429 })).resolves.toMatchObject({ p50Ms: expect.any(Number) });
});

it.runIf(process.platform === 'linux')(
  'counts the processor time of a process, a unit of its work',
  async () => {
    const { result, cpu } = await cpuPerUnit({ pid: process.pid, units: 10 }, async () => {
      const usedBefore = process.cpuUsage();
      for (let used = 0; used < 200_000; ) {
        const { user, system } = process.cpuUsage(usedBefore);
        used = user + system;
      }
      return 'done';
    });
    expect(result).toBe('done');
    expect(cpu.total).toBeGreaterThan(18_000);
    expect(cpu.total).toBeCloseTo(cpu.user + cpu.system);
    expect(residentBytes(process.pid)).toBeGreaterThan(10_000_000);
  },
);

it('keeps one result for each major version of Node, in their order', () => {
  const result = (node: string) => ({ versions: { node } });
  const kept = [result('20.19.0'), result('26.1.0')];
  expect(withResult(kept, result('20.20.2'))).toEqual([result('20.20.2'), result('26.1.0')]);
  expect(withResult(kept, result('24.0.0'))).toEqual([result('20.19.0'), result('24.0.0'), result('26.1.0')]);
});

it('lets everything that is compared take its turn at being first', () => {
  expect([0, 1, 2, 3].map((round) => rotate(['a', 'b', 'c'], round)[0])).toEqual(['a', 'b', 'c', 'a']);
  const servers = [{ name: 'fastify' }, { name: 'ours' }];
  expect(selected(servers, 'ours')).toEqual([{ name: 'ours' }]);
  expect(selected(servers, undefined)).toEqual(servers);
});

it('says of each target, for each version of Node, whether the median meets it', () => {
  const summary = (median: number) => ({ median, min: median - 0.1, max: median + 0.1 });
  const rows = targetsTable([
    {
      node: 20,
      targets: [target('CPU', atMost(1.2), summary(1.25), 2), target('rate', atLeast(0.85), summary(0.9), 2)],
    },
    { node: 26, targets: [target('CPU', atMost(1.2), summary(1.15), 2)] },
  ]).split('\n');
  expect(rows).toEqual([
    '|  | target | Node 20 | Node 26 |',
    '| --- | ---: | ---: | ---: |',
    '| CPU | at most 1.2 | 1.25 (1.15–1.35), **missed** | 1.15 (1.05–1.25), met |',
    '| rate | at least 0.85 | 0.90 (0.80–1.00), met | – |',
  ]);
});
