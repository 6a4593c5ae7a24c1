/** With two workers, what is seen and done from outside is of both: metrics, the live feed, administration, usage. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { LiveSnapshot } from '../../src/core/live-snapshot.ts';
import { type Executable, runExecutable, startExecutable } from '../support/executable.ts';
import { ask, generate, type OpenAnswer, openAnswer } from '../support/http-client.ts';
import { readLive } from '../support/live-stream.ts';
import { childrenOf } from '../support/process-table.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

const HELD = scripted({ text: 'one two three', fail: 'hang-mid-stream', fail_after_tokens: 2 });

interface Row {
  readonly id: string;
  readonly request_id: string;
  readonly position?: number;
}

interface Queue {
  readonly waiting: readonly Row[];
  readonly running: readonly Row[];
  readonly totals: { readonly waiting: number; readonly running: number };
}

const start = (slots: number, ...flags: readonly string[]) =>
  startExecutable({
    flags: ['--server.workers', '2', ...scriptedFlags({ target: { slots } }), ...flags],
    endsWith: onTestFinished,
  });

/** Begins to answer and does not end. The next connection goes to the worker that has fewer. */
async function hold(server: Executable, requestId: string): Promise<OpenAnswer> {
  const held = await openAnswer(`${server.url}/stream`, {
    body: { prompt: HELD },
    headers: { 'x-request-id': requestId },
  });
  await held.until((text) => text.includes('two'));
  return held;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-views-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const queueOf = async (server: Executable) => (await ask(`${server.url}/admin/queue`)).json<Queue>();

const idsOf = (rows: readonly { readonly request_id: string }[]) => rows.map((row) => row.request_id);

async function metricsOf(server: Executable): Promise<(series: string) => number> {
  const { text } = await ask(`${server.url}/metrics`);
  const lines = text.split('\n');
  return (series) => Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length));
}

/** The numbers of the workers that answered these requests. */
async function workersOf(server: Executable, requestIds: readonly string[]): Promise<ReadonlySet<unknown>> {
  const lines = await Promise.all(requestIds.map((id) => server.requestLine(id)));
  return new Set(lines.map((line) => line.worker));
}

test('metrics are the sum of what both workers did, exactly, and a dead worker’s part stays', async () => {
  const server = await start(8);
  const requestIds = Array.from({ length: 40 }, (_, index) => `r${index}`);
  await Promise.all(
    requestIds.map((id) =>
      ask(`${server.url}/generate`, { body: { prompt: 'one two' }, headers: { 'x-request-id': id } }),
    ),
  );
  expect(await workersOf(server, requestIds)).toEqual(new Set([1, 2]));
  const answered = 'llm_serve_requests_total{route="/generate",status="200",model="demo"}';
  const metric = await metricsOf(server);
  expect(metric(answered)).toBe(40);
  expect(metric('llm_serve_prompt_tokens_total{model="demo"}')).toBe(80);
  expect(metric('llm_serve_e2e_request_latency_seconds_count{model="demo",target="demo/scripted/0"}')).toBe(
    40,
  );
  expect(metric('llm_serve_slots{model="demo",target="demo/scripted/0"}')).toBe(8);
  expect(metric('llm_serve_workers')).toBe(2);
  expect(metric('llm_serve_workers_configured')).toBe(2);
  const memory = (process: string) => metric(`process_resident_memory_bytes{process="${process}"}`);
  for (const process of ['control', 'worker 1', 'worker 2']) expect(memory(process)).toBeGreaterThan(1e6);

  const worker = childrenOf(server.pid).find(({ command }) => command.includes('worker.js'));
  process.kill(worker?.pid ?? Number.NaN, 'SIGKILL');
  await server.logged(({ msg }) => /^worker \d serves again/.test(msg));
  await generate(server, { prompt: 'one two' });
  const after = await metricsOf(server);
  expect(after(answered)).toBe(41);
  expect(after('llm_serve_worker_restarts_total')).toBe(1);
});

test('the live feed shows the requests of both workers, and administrators end one at the other worker', async () => {
  const server = await start(2);
  const live = await readLive(server);
  await live.until(() => true);
  const held = [await hold(server, 'a'), await hold(server, 'b')];
  const waits = ['c', 'd'].map((id) =>
    openAnswer(`${server.url}/stream`, { body: { prompt: 'hi' }, headers: { 'x-request-id': id } }),
  );
  const full = await live.until(({ queue, running }) => queue.length === 2 && running.length === 2);
  expect(idsOf(full.running)).toEqual(['a', 'b']);
  expect(full.running.map(({ completion_tokens }) => completion_tokens)).toEqual([2, 2]);
  expect(new Set(idsOf(full.queue))).toEqual(new Set(['c', 'd']));
  expect(full.queue.map(({ position }) => position)).toEqual([1, 2]);
  expect(full.queue[0]?.reason).toBe('no_free_slot');
  expect(full.models).toEqual([{ id: 'demo', waiting: 2, running: 2 }]);
  expect(new Set([...full.running, ...full.queue].map(({ client }) => client)).size, 'one client').toBe(1);

  const json = { headers: { accept: 'application/json' } };
  // More than there are workers: some come to each.
  for (let count = 0; count < 4; count += 1) {
    const one = (await ask(`${server.url}/live`, json)).json<LiveSnapshot>();
    expect(idsOf(one.running)).toEqual(['a', 'b']);
    expect(one.queue).toHaveLength(2);
  }

  const queue = await queueOf(server);
  expect(idsOf(queue.running)).toEqual(['a', 'b']);
  expect(queue.waiting.map(({ position }) => position)).toEqual([1, 2]);
  expect(queue.totals).toEqual({ waiting: 2, running: 2 });
  // Both workers' requests are cancelled, whichever worker is asked.
  for (const { id, request_id } of queue.running) {
    const cancelled = await ask(`${server.url}/admin/queue/${id}/cancel`, { method: 'POST' });
    expect(cancelled.json()).toEqual({ id, request_id });
    expect((await ask(`${server.url}/admin/queue/${id}/cancel`, { method: 'POST' })).status).toBe(404);
  }
  for (const each of held) expect(await each.whole).toContain('cancelled_by_admin');
  for (const each of waits) expect(await (await each).whole).toContain('"finish_reason"');
  const last = await live.until(({ sums }) => sums.cancelled === 2 && sums.finished === 2);
  expect(last.sums.ttft_ms?.count).toBe(4);
  const receipts = live.snapshots().flatMap(({ ended }) => idsOf(ended));
  expect([...receipts].sort(), 'each once').toEqual(['a', 'b', 'c', 'd']);
  expect(await workersOf(server, ['a', 'b'])).toEqual(new Set([1, 2]));
  live.answer.leave();
});

test('a target that is drained, and a configuration that is reloaded, are so at both workers at once', async () => {
  const folder = newFolder();
  const file = join(folder, 'llm-serve.yaml');
  const configured = (model: string) =>
    `server: { workers: 2 }\nmodels:\n  - id: ${model}\n    targets: [{ backend: scripted, model: demo, name: one }]\n`;
  writeFileSync(file, configured('first'));
  const server = await startExecutable({ flags: ['--config', file], endsWith: onTestFinished });
  const ofEach = <Value>(read: () => Promise<Value>) => Promise.all(Array.from({ length: 4 }, read));

  await ask(`${server.url}/admin/targets/one/drain`, { method: 'POST' });
  for (const { status } of await ofEach(() => ask(`${server.url}/ready`))) expect(status).toBe(503);
  for (const answer of await ofEach(() => ask(`${server.url}/admin/targets`)))
    expect(answer.json()).toMatchObject({ targets: [{ name: 'one', health: 'draining' }] });
  await ask(`${server.url}/admin/targets/one/enable`, { method: 'POST' });
  for (const { status } of await ofEach(() => ask(`${server.url}/ready`))) expect(status).toBe(200);
  expect((await ask(`${server.url}/admin/targets/none/drain`, { method: 'POST' })).status).toBe(404);

  writeFileSync(file, configured('second'));
  const reloaded = await ask(`${server.url}/admin/reload`, { method: 'POST' });
  expect(reloaded.json<{ changed: string[] }>().changed.join(' ')).toContain('second');
  for (const answer of await ofEach(() => ask(`${server.url}/v1/models`)))
    expect(answer.json<{ data: { id: string }[] }>().data.map(({ id }) => id)).toEqual(['second']);
  writeFileSync(file, 'models: 3\n');
  const refused = await ask(`${server.url}/admin/reload`, { method: 'POST' });
  expect(refused.status).toBe(422);
  expect(refused.json().error.code).toBe('invalid_configuration');
  const { text } = await ask(`${server.url}/admin/audit`);
  expect(text).toContain('target.drain');
  expect(text).toContain('invalid_configuration');
});

test('usage is that of both workers, also of what they have only just counted, and stays after a restart', async () => {
  const folder = newFolder();
  const flags = ['--data.directory', folder, '--usage.flush-seconds', '60'];
  const server = await start(8, ...flags);
  const usage = async (from: Executable) =>
    (await ask(`${from.url}/admin/usage`)).json<{ rows: { requests: number; prompt_tokens: number }[] }>()
      .rows;
  for (let round = 1; round <= 3; round += 1) {
    await Promise.all(Array.from({ length: 10 }, () => generate(server, { prompt: 'one two' })));
    expect(await usage(server)).toMatchObject([{ requests: 10 * round, prompt_tokens: 20 * round }]);
  }
  await server.stop();
  const again = await start(8, ...flags);
  expect(await usage(again)).toMatchObject([{ requests: 30, prompt_tokens: 60 }]);
});

test('llm-serve status shows what both workers do', async () => {
  const server = await start(4);
  const held = [await hold(server, 'a'), await hold(server, 'b')];
  const { stdout } = await runExecutable(['status'], {
    environment: { LLM_SERVE_SERVER: server.url },
    endsWith: onTestFinished,
  });
  expect(stdout).toMatch(/demo\/scripted\/0 .* 2\/4/);
  for (const each of held) each.leave();
});

test('a record is of one run, with the requests of both workers and the slots that they share', async () => {
  const file = join(newFolder(), 'requests.jsonl');
  const server = await start(3, '--record', file);
  const requestIds = Array.from({ length: 20 }, (_, index) => `r${index}`);
  await Promise.all(
    requestIds.map((id) =>
      ask(`${server.url}/generate`, { body: { prompt: 'one two' }, headers: { 'x-request-id': id } }),
    ),
  );
  expect(await workersOf(server, requestIds)).toEqual(new Set([1, 2]));
  await server.stop();
  const text = readFileSync(file, 'utf8');
  const lines = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(new Set(lines.map(({ run }) => run)).size).toBe(1);
  const requests = lines.filter(({ route }) => route === '/generate');
  expect(requests).toHaveLength(20);
  expect(new Set(requests.map(({ client }) => client)).size, 'one client').toBe(1);
  expect(lines.find(({ settings }) => settings)?.settings.targets).toMatchObject([{ slots: 3 }]);
  expect(text, 'no address').not.toContain('127.0.0.1');
});
