/** A process that uses the engine of another one: what it is told, and an engine that listens, are played by the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { EngineNotice } from '../../../../src/backends/engine-sharing.ts';
import { noticeOf } from '../../../../src/backends/llama-cpp/engine-notice.ts';
import { JoinedEngine } from '../../../../src/backends/llama-cpp/joined-engine.ts';
import type {
  EngineEvent,
  EngineEvents,
  WorkForEngine,
} from '../../../../src/backends/llama-cpp/messages.ts';
import type { Clock } from '../../../../src/core/clock.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import { MessageReader } from '../../../../src/core/message-lines.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { never } from '../../../support/embedded-engine.ts';
import { FAKE_GENERATION, recordingLog } from '../../../support/fake-engine.ts';

const FORMAT = { opens: '<tool_call>' } as never;
const AGAIN = 'connects to the engine again, until it is there';
const DOWN = /^The engine is not running/;

let folder: string;
let engines: number;
/** Waits before a try to connect. */
let tries: number;
let tell: (notice: EngineNotice | undefined) => void;
let engine: JoinedEngine;
let lines: ReturnType<typeof recordingLog>['lines'];

/** Waits are a hundred times shorter. */
const clock: Clock = {
  ...systemClock,
  schedule: (delayMs, run) => {
    tries += 1;
    return systemClock.schedule(delayMs / 100, run);
  },
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'joined-'));
  engines = 0;
  tries = 0;
  const recording = recordingLog();
  lines = recording.lines;
  engine = new JoinedEngine({
    clock,
    log: recording.log,
    contextSize: 64,
    watch: (listener) => {
      tell = (notice) =>
        listener(notice === undefined ? undefined : (JSON.parse(JSON.stringify(notice)) as EngineNotice));
      return () => {};
    },
  });
});

afterEach(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Listens as an engine does; what it got, from each connection that there was. */
async function listen() {
  engines += 1;
  const address = join(folder, `${engines}`);
  const got: WorkForEngine[] = [];
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    const reader = new MessageReader<WorkForEngine>((message) => got.push(message));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => reader.read(text));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(address, resolve));
  const die = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(die);
  const send = (...events: readonly EngineEvent[]) => {
    const message: EngineEvents = { type: 'events', events };
    sockets.at(-1)?.write(`${JSON.stringify([message])}\n`);
  };
  return { address, got, sockets, die, send };
}

type Engine = Awaited<ReturnType<typeof listen>>;

const ready = ({ address }: Pick<Engine, 'address'>) =>
  noticeOf({ phase: 'ready', contextSize: 32, abilities: ['generate'], toolCallFormat: FORMAT }, { address });
const restarting = (waitWorthwhile: boolean, loss?: 'stopped' | 'hung') =>
  noticeOf({ phase: 'restarting', waitWorthwhile, detail: 'The engine process died.' }, { loss });

const FINISH: EngineEvent['event'] = {
  type: 'finish',
  reason: 'stop',
  usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
};

/** What becomes of a generation: the types of its events, or its error. */
function generate() {
  const told: string[] = [];
  const handle = engine.access.generate(FAKE_GENERATION, {
    event: ({ type }) => void told.push(type),
    failed: (error) => void told.push(`${error.code}: ${error.message}`),
    freed: () => void told.push('freed'),
  });
  return { told, handle };
}

async function gotGenerations(from: Engine, count: number): Promise<number[]> {
  const ids = () =>
    from.got.flatMap((message) => (message.type === 'generate' ? [message.generation.id] : []));
  await expect.poll(() => ids()).toHaveLength(count);
  return ids();
}

describe('an engine of another process', () => {
  it('gets what came while it was loaded once it is connected, and its events come back', async () => {
    tell(noticeOf({ phase: 'loading' }));
    const before = generate();
    const one = await listen();
    tell(ready(one));
    const after = generate();
    const [first, second] = (await gotGenerations(one, 2)) as [number, number];
    one.send({ id: second, event: FINISH });
    one.send({ id: first, event: { type: 'text', text: 'a' } }, { id: first, event: FINISH });
    await expect.poll(() => before.told).toEqual(['text', 'finish']);
    expect(after.told).toEqual(['finish']);
    expect(engine.status()).toMatchObject({ state: 'ready', contextSize: 32, abilities: ['generate'] });
    expect(await engine.access.toolCallFormat(never())).toEqual(FORMAT);
  });

  it('that is told to be ready makes requests wait for the connection, not fail', async () => {
    const none = generate();
    await expect.poll(() => none.told[0]).toMatch(/^model_loading/);
    const one = await listen();
    tell(ready(one));
    generate();
    await engine.warmUp({ signal: never() });
    await gotGenerations(one, 1);
  });

  it('that is lost fails what it had, and what comes then waits for the next one', async () => {
    const one = await listen();
    tell(ready(one));
    const lost = generate();
    await gotGenerations(one, 1);
    one.die();
    await expect.poll(() => lost.told[0]).toMatch(/^backend_error: The engine stopped while it worked/);
    const waiting = generate();
    expect(engine.status()).toMatchObject({ state: 'failed', restarting: true });
    tell(restarting(true, 'stopped'));
    const two = await listen();
    tell(ready(two));
    const [id] = (await gotGenerations(two, 1)) as [number];
    two.send({ id, event: FINISH });
    await expect.poll(() => waiting.told).toEqual(['finish']);
    expect(lost.told).toHaveLength(1);
    expect(await engine.access.toolCallFormat(never())).toEqual(FORMAT);
  });

  it('that hangs fails what it had as soon as that is told, and is heard no more', async () => {
    const one = await listen();
    tell(ready(one));
    const lost = generate();
    const [id] = (await gotGenerations(one, 1)) as [number];
    tell(restarting(true, 'hung'));
    expect(lost.told).toEqual([expect.stringMatching(/^backend_error: The engine hung while it worked/)]);
    one.send({ id, event: FINISH });
    await expect.poll(() => one.sockets[0]?.destroyed).toBe(true);
    expect(lost.told).toHaveLength(1);
  });

  it('that is not worth waiting for rejects at once: what waits, and what comes', async () => {
    tell(restarting(true, 'stopped'));
    const waiting = generate();
    tell(restarting(false, 'stopped'));
    expect(waiting.told).toEqual([expect.stringMatching('The engine is not running')]);
    const late = generate();
    await expect.poll(() => late.told).toEqual([expect.stringMatching('The engine is not running')]);
  });

  it('that has failed says to clients no more than that it does not run', async () => {
    tell(noticeOf({ phase: 'loading' }));
    const format = engine.access.toolCallFormat(never());
    const error = new ServingError('backend_error', { message: 'The file is broken.' });
    const warmUp = engine.warmUp({ signal: never() });
    tell(noticeOf({ phase: 'failed', error }));
    await expect(warmUp).rejects.toThrow('The file is broken.');
    await expect(format).rejects.toThrow(DOWN);
    expect(engine.status()).toMatchObject({ state: 'failed', detail: 'The file is broken.' });
  });

  it('that is gone for good ends what is under way, and takes nothing', async () => {
    const one = await listen();
    tell(ready(one));
    const under = generate();
    await gotGenerations(one, 1);
    tell(undefined);
    expect(under.told).toEqual([expect.stringMatching(/^draining/)]);
    tell(ready(one));
    const late = generate();
    await expect.poll(() => late.told).toEqual([expect.stringMatching(/^draining/)]);
    await expect.poll(() => one.sockets.every(({ destroyed }) => destroyed)).toBe(true);
  });

  it('that cuts the connection and goes on is connected to again', async () => {
    const one = await listen();
    tell(ready(one));
    const lost = generate();
    await gotGenerations(one, 1);
    one.sockets[0]?.write('no message\n');
    await expect.poll(() => lost.told[0]).toMatch(/^backend_error/);
    generate();
    await gotGenerations(one, 2);
    expect(one.sockets).toHaveLength(2);
    expect(lines.map(({ message }) => message)).toContain(AGAIN);
  });

  it('that is not there yet is tried until it is, and the log says so once', async () => {
    tell(ready({ address: join(folder, '1') }));
    generate();
    await expect.poll(() => tries).toBeGreaterThan(3);
    await gotGenerations(await listen(), 1);
    expect(lines.map(({ message }) => message)).toEqual([AGAIN]);
  });

  it('is told of an abort, and the request ends when the engine is free of it', async () => {
    const one = await listen();
    tell(ready(one));
    const { told, handle } = generate();
    const [id] = (await gotGenerations(one, 1)) as [number];
    handle.pause();
    handle.abort();
    await expect
      .poll(() => one.got.slice(1))
      .toEqual([
        { type: 'pause', id },
        { type: 'abort', id },
      ]);
    one.send({ id, event: { type: 'freed' } });
    await expect.poll(() => told).toEqual(['freed']);
  });
});
