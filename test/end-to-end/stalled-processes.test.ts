/** Processes of one server that stand still, or do not start: the others go on with what needs nobody, refuse what does, and recover. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Executable, startExecutable } from '../support/executable.ts';
import { ask, generate, tokensOf } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A connection of its own, which is kept. */
class Line {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;

  constructor({ port }: Executable) {
    this.#port = port;
    onTestFinished(() => this.#agent.destroy());
  }

  ask(
    method: 'GET' | 'POST',
    path: string,
    body?: unknown,
    onText?: (text: string) => void,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = {
        agent: this.#agent,
        port: this.#port,
        host: '127.0.0.1',
        method,
        path,
        headers: { 'content-type': 'application/json' },
      };
      const sent = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          onText?.(text);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
        response.on('error', reject);
      });
      sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

test('a control process that is stopped: what streams goes on, what is new is refused, and all goes on after it', async () => {
  const server = await startExecutable({
    flags: [
      ...scriptedFlags({ target: { slots: 2 } }),
      '--limits.per-address',
      '{"requests_per_minute":100000}',
    ],
    environment: {
      LLM_SERVE_SERVER__WORKERS: '2',
      // Shorter than the silence: it must not begin an answer whose limits are not known.
      LLM_SERVE_SERVER__HEARTBEAT_SECONDS: '0.2',
    },
    endsWith: onTestFinished,
  });
  onTestFinished(() => server.signal('SIGCONT'));
  // As many connections, one after the other, go to each worker.
  const lines = [];
  for (let count = 0; count < 6; count += 1) {
    const line = new Line(server);
    await line.ask('POST', '/generate', { prompt: 'hi' });
    lines.push(line);
  }
  const [streaming, asking, watching, ...others] = lines as [Line, Line, Line, ...Line[]];
  let text = '';
  const stream = streaming.ask(
    'POST',
    '/stream',
    { prompt: scripted({ tokens: 40, token_delay_ms: 50 }) },
    (all) => {
      text = all;
    },
  );
  await expect.poll(() => text).toContain('token');
  server.signal('SIGSTOP');
  // Was asked before anybody knows.
  const early = asking.ask('POST', '/stream', { prompt: 'hi' });
  const { text: whole } = await stream;
  expect(whole).toContain('[DONE]');
  expect(tokensOf(whole).split(' ').length).toBeGreaterThanOrEqual(40);
  await expect
    .poll(async () => (await watching.ask('GET', '/ready')).text, { interval: 200 })
    .toContain('"reason":"stalled"');
  const refused = await watching.ask('POST', '/v1/chat/completions', {
    model: 'demo',
    messages: [{ role: 'user', content: 'hi' }],
  });
  expect(refused.status).toBe(503);
  expect(refused.headers['retry-after']).toBe('5');
  expect(refused.text).toContain('gives out slots does not answer');
  expect((await watching.ask('GET', '/metrics')).status).toBe(503);
  expect((await watching.ask('GET', '/admin/limits')).status).toBe(503);
  expect((await early).status).toBe(503);
  server.signal('SIGCONT');
  for (const line of [watching, ...others])
    await expect.poll(async () => (await line.ask('POST', '/generate', { prompt: 'hi' })).status).toBe(200);
  await expect
    .poll(async () => (await ask(`${server.url}/ready`)).json())
    .toMatchObject({
      status: 'ready',
      workers: { status: 'complete', configured: 2, serving: 2 },
    });
  await server.logged(({ msg }) => msg.startsWith('the control process does not answer'));
  await server.logged(({ msg }) => msg === 'the control process answers again');
});

test('a worker that does not start: the other one serves, says so, and is joined by it when it can', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-stalled-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [preload, taken] = [join(folder, 'preload.cjs'), join(folder, 'taken')];
  // The first one takes the place; those that come after it end as long as it is taken.
  writeFileSync(
    preload,
    `if (process.argv[1].endsWith('worker.js')) {
       try { require('node:fs').mkdirSync(${JSON.stringify(taken)}); } catch { process.exit(3); }
     }`,
  );
  const server = await startExecutable({
    flags: scriptedFlags(),
    environment: { LLM_SERVE_SERVER__WORKERS: '2', NODE_OPTIONS: `--require=${preload}` },
    endsWith: onTestFinished,
  });
  const ready = async () => (await ask(`${server.url}/ready`)).json();
  expect(await ready()).toMatchObject({
    status: 'ready',
    workers: { status: 'degraded', configured: 2, serving: 1 },
  });
  await server.logged(({ msg }) => msg === '1 of 2 workers serve. The others follow when they can start.');
  for (let count = 0; count < 4; count += 1)
    expect((await generate(server, { prompt: 'hi' })).status).toBe(200);
  rmSync(taken, { recursive: true });
  await expect.poll(ready).toMatchObject({ workers: { status: 'complete', serving: 2 } });
});
