/** The load of bench/overload and how its answers are read, against servers that answer at once. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { promptTokensOf } from '../../../src/backends/scripted/model.ts';
import { promptSizeOf } from '../../../src/serving/prompt-size.ts';

interface Answer {
  readonly index: number;
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  readonly status: number;
  readonly answerTokens?: number;
}
interface Load {
  ask(order: object): Promise<readonly Answer[]>;
  stop(): Promise<void>;
}

const benchUrl = (path: string) => new URL(`../../../bench/${path}`, import.meta.url);
const bench = (path: string) => import(benchUrl(path).href);
const { recordsOf, REFUSED_WITHIN_MS } = await bench('overload/answered.mjs');
const { fitService } = await bench('overload/service-fit.mjs');
const { clientAddresses } = await bench('overload/client-addresses.mjs');
const { scriptedSubject } = await bench('overload/scripted-subject.mjs');
const { startWorker }: { startWorker: (script: URL) => Promise<Load> } = await bench('worker.mjs');

const started: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const program of started.splice(0)) await program.stop();
});

it.each([
  ['an answer within the deadline', { status: 200, endedAtMs: 900 }, 'completed'],
  ['an answer that its client had after the deadline', { status: 200, endedAtMs: 1001 }, 'failed'],
  ['a deadline that came while it ran', { status: 504, endedAtMs: 1000 }, 'failed'],
  ['a refusal at once', { status: 503, endedAtMs: REFUSED_WITHIN_MS }, 'refused'],
  ['a refusal after waiting', { status: 503, endedAtMs: REFUSED_WITHIN_MS + 1 }, 'expired'],
])('%s is read as such', (_, answer, outcome) => {
  const jobs = [{ id: 'one', deadlineMs: 1000 }];
  const [record] = recordsOf({ jobs, answers: [{ index: 0, sentAtMs: 0, queueMs: 5, ...answer }] });
  expect(record.outcome).toBe(outcome);
});

it('an answer that is none of these fails the run', () => {
  const answers = [{ index: 0, sentAtMs: 0, endedAtMs: 1, status: 500, code: 'internal' }];
  expect(() => recordsOf({ jobs: [{ deadlineMs: 1000 }], answers })).toThrow('500 internal');
});

it('the fit finds the parameters that answers were made with', () => {
  const service = { slots: 8, firstTokenMs: 21, promptTokenMs: 1, tokenMs: 10.5 };
  const answers = [8, 64, 8, 64].map((answerTokens, index) => ({
    answerTokens,
    promptTokens: 4 + index,
    upstreamMs: 21 + (4 + index) + 10.5 * (answerTokens - 1),
  }));
  const fitted = fitService(answers, service);
  expect(fitted.firstTokenMs).toBeCloseTo(21);
  expect(fitted.tokenMs).toBeCloseTo(10.5);
});

it.each([1, 4, 24])('a scripted prompt of %i tokens is estimated at exactly those', (promptTokens) => {
  const job = { promptTokens, answerTokens: 8, arrivalMs: 0, deadlineMs: 1000 };
  const input = { kind: 'text', prompt: scriptedSubject.bodyOf(job).prompt } as const;
  expect(promptTokensOf(input, input.prompt)).toBe(promptTokens);
  expect(promptSizeOf({ input }).tokens).toBe(promptTokens);
});

it('requests are sent at their times, each from the address of its client', async () => {
  const seen = new Map<string, string | undefined>();
  const { url } = await answering((body, address) => seen.set(body, address));
  const load = await startLoad();
  const addresses = (await clientAddresses(['one', 'other'])) ?? {};
  const requests = ['one', 'other', 'one'].map((client, index) => ({
    client,
    atMs: index * 10,
    body: `"${client}"`,
  }));
  const answers = await load.ask({ url, addresses, requests });
  for (const { index, sentAtMs, status, answerTokens } of answers) {
    // Timers may fire a little early.
    expect(sentAtMs).toBeGreaterThanOrEqual(index * 10 - 2);
    expect({ status, answerTokens }).toEqual({ status: 200, answerTokens: 3 });
  }
  for (const client of ['one', 'other'])
    expect(seen.get(`"${client}"`)).toBe(addresses[client] ?? '127.0.0.1');
});

it('a closed loop keeps no more than so many of a client under way, and ends', async () => {
  let running = 0;
  let most = 0;
  const { url } = await answering((_body, _address, response) => {
    most = Math.max(most, ++running);
    response.once('finish', () => running--);
  });
  const load = await startLoad();
  const order = {
    url,
    addresses: {},
    requests: [{ client: 'one', body: '""' }],
    inFlight: 2,
    durationMs: 20,
  };
  const answers = await load.ask(order);
  expect(answers.length).toBeGreaterThanOrEqual(2);
  expect(most).toBeLessThanOrEqual(2);
});

async function startLoad(): Promise<Load> {
  const load = await startWorker(benchUrl('overload/load.mjs'));
  started.push(load);
  return load;
}

async function answering(
  onRequest: (body: string, address: string | undefined, response: ServerResponse) => void,
) {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    onRequest(body, request.socket.remoteAddress, response);
    response.end(JSON.stringify({ usage: { prompt_tokens: 1, completion_tokens: 3 } }));
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  started.push({ stop: () => closed(server) });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await ended;
}
