/** Several workers: one that dies costs its own requests alone, the end of the control process ends all, and both are clean. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Command, type Executable, startCommand, startExecutable } from '../support/executable.ts';
import { ask, exchangeBytes, generate, openAnswer, tokensOf } from '../support/http-client.ts';
import { childrenOf, processState } from '../support/process-table.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { TEST_ENVIRONMENT } from '../support/server.ts';

const WORKERS = { LLM_SERVE_SERVER__WORKERS: '2' };

function startWorkers(...flags: readonly string[]): Promise<Executable> {
  return startExecutable({
    flags: [...scriptedFlags({ target: { slots: 2 } }), ...flags],
    environment: WORKERS,
    endsWith: onTestFinished,
  });
}

/** `script` runs in each worker before its program. */
function startWithPreload(script: string): Command {
  const folder = mkdtempSync(join(tmpdir(), 'llm-serve-workers-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'preload.cjs');
  writeFileSync(path, `if (process.argv[1].endsWith('worker.js')) { ${script} }`);
  return startCommand(['serve', '--port', '0', ...scriptedFlags()], {
    environment: { ...WORKERS, ...TEST_ENVIRONMENT, NODE_OPTIONS: `--require=${path}` },
    endsWith: onTestFinished,
  });
}

/** By their numbers, from 1. They were started one after the other: where they are far apart, the system has begun anew between them. */
function pidsOf(server: Executable): readonly number[] {
  const workers = childrenOf(server.pid).filter(({ command }) => command.includes('worker.js'));
  const pids = workers.map(({ pid }) => pid).sort((one, other) => one - other);
  return Math.max(...pids) - Math.min(...pids) > 10_000 ? pids.reverse() : pids;
}

interface Line {
  readonly worker: number;
  post(path: string, body: unknown, onText?: (text: string) => void): Promise<{ readonly text: string }>;
}

/** A stream has begun, with that. */
async function begun(line: Line, prompt: string, fits: string) {
  let whole: ReturnType<Line['post']> = Promise.reject(new Error('not sent'));
  whole.catch(() => {});
  await new Promise<void>((resolve, reject) => {
    whole = line.post('/stream', { prompt }, (text) => {
      if (text.includes(fits)) resolve();
    });
    whole.catch(reject);
  });
  return { whole };
}

/** A connection that is kept, to whichever worker has it. */
async function openLine(server: Executable): Promise<Line> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const post = (path: string, body: unknown, onText: (text: string) => void = () => {}) =>
    new Promise<{ text: string; headers: IncomingMessage['headers'] }>((resolve, reject) => {
      const options = {
        agent,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-queue-events': '1' },
      };
      const sent = httpRequest(`${server.url}${path}`, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
          onText(text);
        });
        response.on('end', () => resolve({ text, headers: response.headers }));
        response.on('error', reject);
      });
      sent.on('error', reject).end(JSON.stringify(body));
    });
  const { headers } = await post('/generate', { prompt: 'hi' });
  const { worker } = await server.requestLine(String(headers['x-request-id']));
  return { worker: Number(worker), post };
}

async function openLines(server: Executable): Promise<readonly [Line, Line]> {
  const [one, other] = [await openLine(server), await openLine(server)];
  expect(one.worker + other.worker, 'each worker has one').toBe(3);
  return [one, other];
}

/** Both slots are free again, and the worker has been replaced. */
async function servesAgain(server: Executable, { worker }: Line): Promise<void> {
  await server.logged(({ msg }) => msg === `worker ${worker} serves again`);
  const answers = await Promise.all([1, 2].map(() => generate(server, { prompt: 'hi' })));
  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(pidsOf(server)).toHaveLength(2);
}

function killWorker(server: Executable, { worker }: Line): void {
  process.kill(pidsOf(server)[worker - 1] ?? 0, 'SIGKILL');
}

describe('a worker that is killed', () => {
  test('while it streams cuts its own stream, not that of another one', async () => {
    const server = await startWorkers();
    const [victim, survivor] = await openLines(server);
    const prompt = scripted({ text: 'a b c d e f g h', token_delay_ms: 150 });
    const cut = await begun(victim, prompt, 'token');
    const whole = await begun(survivor, prompt, 'token');
    killWorker(server, victim);
    await expect(cut.whole).rejects.toThrow();
    const { text } = await whole.whole;
    expect(tokensOf(text)).toBe('a b c d e f g h');
    expect(text).toContain('data: [DONE]');
    await servesAgain(server, victim);
  });

  test('while its requests wait for the first token and for a slot gives both back', async () => {
    const server = await startWorkers('--server.heartbeat-seconds', '0.2');
    const [victim, survivor] = await openLines(server);
    const body = { prompt: scripted({ fail: 'hang' }) };
    // The first heartbeat begins the answer.
    for (let count = 0; count < 2; count += 1) await openAnswer(`${server.url}/stream`, { body });
    // Each worker has one of the two slots, and one that waits.
    const lost = await begun(victim, 'hi', '"queue"');
    const queued = await begun(survivor, 'hi', '"queue"');
    killWorker(server, victim);
    await expect(lost.whole).rejects.toThrow();
    expect((await queued.whole).text).toContain('data: [DONE]');
    await server.logged(({ msg }) => msg === `worker ${victim.worker} serves again`);
  });

  test('while it receives a body, or nothing, loses those connections alone', async () => {
    const server = await startWorkers();
    const [victim, survivor] = await openLines(server);
    const half =
      'POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"prom';
    const sockets = [1, 2].map(() => connect(server.port, '127.0.0.1'));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    let closed = 0;
    const answers: string[] = [];
    for (const socket of sockets) {
      socket
        .on('error', () => {})
        .once('close', () => {
          closed += 1;
        });
      socket.setEncoding('utf8').on('data', (text: string) => answers.push(text));
      socket.write(half);
    }
    // They have arrived, as connections are taken in order.
    await generate(server, { prompt: 'hi' });
    await generate(server, { prompt: 'hi' });
    killWorker(server, victim);
    await expect.poll(() => closed).toBe(1);
    for (const socket of sockets) if (!socket.destroyed) socket.write('pt":"hi"}');
    await expect.poll(() => answers.join('')).toContain('HTTP/1.1 200');
    await survivor.post('/generate', { prompt: 'hi' });
    await servesAgain(server, victim);
  });

  test('is replaced again and again, and every connection that comes meanwhile is served', async () => {
    const server = await startWorkers();
    const [line] = await openLines(server);
    killWorker(server, line);
    // One that was given to it before its end was seen has ended with it.
    await server.logged(({ msg }) => msg.includes('has ended'));
    for (let count = 0; count < 20; count += 1)
      expect((await generate(server, { prompt: 'hi' })).status).toBe(200);
    await servesAgain(server, line);
    const notices = server.logs().filter(({ msg }) => msg.includes('has ended'));
    expect(notices.map(({ level }) => level)).toEqual([50]);
  });
});

describe('the control process', () => {
  test('that is killed takes its workers with it at once', async () => {
    const server = await startWorkers();
    const pids = pidsOf(server);
    const open = await openAnswer(`${server.url}/stream`, {
      body: { prompt: scripted({ fail: 'hang-mid-stream' }) },
    });
    expect(pids).toHaveLength(2);
    server.signal('SIGKILL');
    await server.ended;
    await expect.poll(() => pids.map((pid) => processState(pid)).join('')).toMatch(/^Z*$/);
    await expect(open.whole).rejects.toThrow();
  });

  test('that is killed while a worker is stopped and another one serves: a stopped one ends as soon as it goes on', async () => {
    const server = await startWorkers();
    const [stopped = 0] = pidsOf(server);
    process.kill(stopped, 'SIGSTOP');
    server.signal('SIGKILL');
    await server.ended;
    process.kill(stopped, 'SIGCONT');
    await expect.poll(() => processState(stopped)).toMatch(/^Z?$/);
  });

  test('that is told to end lets the workers finish, and exits with 0 after them', async () => {
    const server = await startWorkers('--server.shutdown-delay-seconds', '4');
    const pids = pidsOf(server);
    const prompt = scripted({ text: 'a b c d e f', token_delay_ms: 1000 });
    const streams = await Promise.all(
      [1, 2].map(() => openAnswer(`${server.url}/stream`, { body: { prompt } })),
    );
    await Promise.all(streams.map((each) => each.until((text) => text.includes('token'))));
    server.signal('SIGTERM');
    await server.logged(({ msg }) => msg.startsWith('SIGTERM'));
    await expect.poll(async () => (await ask(`${server.url}/ready`)).status).toBe(503);
    for (const each of streams) {
      const text = await each.whole;
      expect(tokensOf(text)).toBe('a b c d e f');
      expect(text).toContain('data: [DONE]');
    }
    expect((await server.ended).exitCode).toBe(0);
    expect(pids.map((pid) => processState(pid)).join('')).toBe('');
  });

  test('signals for a whole group of processes reach it alone', async () => {
    const server = await startWorkers();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      for (const pid of pidsOf(server)) process.kill(pid, signal);
    for (let count = 0; count < 4; count += 1)
      expect((await generate(server, { prompt: 'hi' })).status).toBe(200);
    expect(server.logs().some(({ msg }) => msg.includes('has ended'))).toBe(false);
  });

  test('says in one line why it cannot start: the port is taken', async () => {
    const server = await startWorkers();
    const other = startExecutable({
      flags: [...scriptedFlags(), '--port', String(server.port)],
      environment: WORKERS,
      endsWith: onTestFinished,
    });
    await expect(other).rejects.toThrow(/ended with 1: llm-serve: Port \d+ on 127.0.0.1 is in use/);
  });

  test('ends by a signal also while its workers die before they serve', async () => {
    const server = startWithPreload('process.exit(3)');
    await server.logged(
      ({ msg }) => msg === 'worker 2 has ended: it exited with code 3. Another one is started.',
    );
    server.signal('SIGTERM');
    expect((await server.ended).exitCode).toBe(0);
  });

  test('says why it cannot start: its workers cannot', async () => {
    const { exitCode, stderr } = await startWithPreload("process.env.LLM_SERVE_SCHEDULER__MAX_QUEUE = 'none'")
      .ended;
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^llm-serve: .*max_queue/);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('needs a store that all workers share', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'llm-serve-workers-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'a-file'), 'no folder');
    const data = join(folder, 'a-file', 'data');
    await expect(startWorkers('--data.directory', data)).rejects.toThrow(
      /ended with 1: .*Several workers need a store that they share/,
    );
    await expect(startWorkers('--access.store', 'memory:')).rejects.toThrow(
      /ended with 2: .*access.store is "memory:", which several workers can't share/,
    );
  });
});

describe('a connection', () => {
  test('above max_connections is closed unread, counted over all workers', async () => {
    const server = await startWorkers('--server.max-connections', '3');
    const sockets = [1, 2, 3, 4].map(() => connect(server.port, '127.0.0.1'));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    let closed = 0;
    for (const socket of sockets)
      socket
        .on('error', () => {})
        .once('close', () => {
          closed += 1;
        });
    await expect.poll(() => closed).toBe(1);
    for (const socket of sockets) socket.destroy();
    await expect
      .poll(async () => (await generate(server, { prompt: 'hi' }).catch(() => undefined))?.status)
      .toBe(200);
  });

  test('that sends its head too slowly is closed by the worker', async () => {
    const server = await startWorkers('--server.body-timeout-seconds', '1');
    const { status } = await exchangeBytes(server.port, 'POST /generate HTTP/1.1\r\nhost: localhost\r\n');
    expect(status).toBe(408);
  });
});

describe('a reload', () => {
  test('reaches all workers', async () => {
    const file = (models: readonly string[]) =>
      JSON.stringify({
        models: models.map((id) => ({ id, targets: [{ backend: 'scripted', model: id }] })),
      });
    const { writeFileSync, mkdtempSync, rmSync } = await import('node:fs');
    const folder = mkdtempSync('/tmp/llm-serve-test-');
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = `${folder}/served.yaml`;
    writeFileSync(path, file(['demo']));
    const server = await startExecutable({
      flags: ['--config', path],
      environment: WORKERS,
      endsWith: onTestFinished,
    });
    const [one, other] = await openLines(server);
    writeFileSync(path, file(['demo', 'second']));
    server.signal('SIGHUP');
    await server.logged(({ msg }) => msg === 'SIGHUP: configuration reloaded');
    for (const line of [one, other])
      await expect
        .poll(async () => (await line.post('/generate', { model: 'second', prompt: 'hi' })).text)
        .toContain('"model":"second"');
  });
});
