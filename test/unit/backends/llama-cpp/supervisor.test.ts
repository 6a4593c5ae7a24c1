import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Supervisor } from '../../../../src/backends/llama-cpp/supervisor.ts';
import type { Clock } from '../../../../src/core/clock.ts';
import type { GenerationEvent } from '../../../../src/core/generation.ts';
import { type LogFields, silentLog } from '../../../../src/core/log.ts';
import { restartDelayMs } from '../../../../src/core/restart-delay.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { never } from '../../../support/embedded-engine.ts';
import { FAKE_GENERATION, FAKE_SETTINGS, FINISH, LOADED } from '../../../support/fake-engine.ts';

describe('supervisor', () => {
  /** The supervisor with engine processes that die, or say what a test wants; waits are a thousand times shorter. */

  const HELLO = `process.send({ type: 'hello' });`;

  let folder: string;
  let supervisor: Supervisor | undefined;
  /** Before restarts. */
  let waits: number[];
  /** Loads that failed. */
  let logged: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'supervisor-'));
  });

  afterEach(() => supervisor?.close());
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** `onMessage` is the body of a function that gets `message`. */
  async function supervise(onMessage: string): Promise<Supervisor> {
    const enginePath = join(folder, `${Math.random()}.mjs`);
    const end = `if (message.type === 'shutdown') process.exit(0);`;
    await writeFile(
      enginePath,
      `import fs from 'node:fs'; process.on('message', (message) => { ${end} ${onMessage} }); ${HELLO}`,
    );
    waits = [];
    logged = [];
    const log = {
      ...silentLog,
      error(message: string, fields?: LogFields) {
        if (message === 'engine died') waits.push(Number(fields?.restartInMs));
        if (message === 'engine could not load the model')
          logged.push(`${message} ${JSON.stringify(fields)}`);
      },
    };
    const clock: Clock = {
      ...systemClock,
      schedule: (delayMs, run) => systemClock.schedule(delayMs / 1000, run),
    };
    const patient = { stepTimeoutMs: 36_000_000, loadTimeoutMs: 36_000_000 };
    supervisor = new Supervisor({ clock, log, enginePath, environment: process.env, ...patient });
    return supervisor;
  }

  function outcome(of: Supervisor): Promise<string> {
    return new Promise((resolve) => {
      of.access.generate(FAKE_GENERATION, {
        event: ({ type }) => type === 'finish' && resolve('finish'),
        failed: (error) => resolve((error as { code?: string }).code ?? String(error)),
        freed: () => resolve('freed'),
      });
    });
  }

  it('knows the tool call format once the model is loaded, and keeps it during a restart', async () => {
    const form = { opens: '<tool_call>' };
    const engine = await supervise(`
    if (message.type === 'load') process.send({ type: 'loaded', contextSize: 64, abilities: [], toolCallFormat: ${JSON.stringify(form)} });
    if (message.type === 'generate') process.exit(1);`);
    await expect(engine.access.toolCallFormat(never()), 'before it is started').rejects.toMatchObject({
      code: 'model_loading',
    });
    const started = engine.start(FAKE_SETTINGS, never());
    const leaving = new AbortController();
    const left = engine.access.toolCallFormat(leaving.signal);
    leaving.abort('gone');
    await expect(left).rejects.toBe('gone');
    expect(await engine.access.toolCallFormat(never()), 'while it loads').toEqual(form);
    await started;
    await outcome(engine);
    expect(await engine.access.toolCallFormat(never())).toEqual(form);
  });

  it('does not tell clients why the tool call format is not known', async () => {
    const engine = await supervise(
      `if (message.type === 'load') process.send({ type: 'load_failed', message: 'The file is broken.', gpuFailed: false });`,
    );
    const started = engine.start(FAKE_SETTINGS, never());
    started.catch(() => {});
    await expect(engine.access.toolCallFormat(never())).rejects.toThrow('The engine is not running');
    await expect(started).rejects.toThrow('The file is broken.');
  });

  it('gives up a model that kills the engine three times in a row before it was ever loaded', async () => {
    const engine = await supervise(`if (message.type === 'load') process.kill(process.pid, 'SIGKILL');`);
    await expect(engine.start(FAKE_SETTINGS, never())).rejects.toMatchObject({
      code: 'backend_error',
      message: expect.stringMatching(/died 3 times while it loaded a\.gguf.*SIGKILL/),
    });
    expect(waits).toEqual([0, 1000]);
    expect(engine.state).toMatchObject({ phase: 'failed' });
    expect(await outcome(engine)).toBe('backend_error');
  });

  it('keeps restarting an engine that was up once, with longer waits, and stops making requests wait for it', async () => {
    const engine = await supervise(
      `if (message.type === 'load') { ${LOADED} } if (message.type === 'generate') process.exit(3);`,
    );
    await engine.start(FAKE_SETTINGS, never());
    for (let crash = 1; crash <= 3; crash++) {
      expect(await outcome(engine)).toBe('backend_error');
      expect(engine.state).toMatchObject({ phase: 'restarting', waitWorthwhile: true });
      await vi.waitFor(() => expect(engine.state.phase).toBe('ready'), { interval: 5, timeout: 60_000 });
    }
    expect(await outcome(engine)).toBe('backend_error');
    expect(engine.state).toMatchObject({ phase: 'restarting', waitWorthwhile: false });
    expect(await outcome(engine)).toBe('backend_error');
    expect(waits).toEqual([0, 1000, 2000, 4000]);
  });

  it('hands a request that came during the load to the engine once it is ready', async () => {
    const engine = await supervise(
      `if (message.type === 'load') setTimeout(() => { ${LOADED} }, 30); if (message.type === 'generate') { ${FINISH} }`,
    );
    const started = engine.start(FAKE_SETTINGS, never());
    expect(await outcome(engine)).toBe('finish');
    await started;
  });

  it('passes on reasoning and text as separate events', async () => {
    const told = `[{ id, event: { type: 'reasoning', text: 'Hm.' } }, { id, event: { type: 'text', text: 'Hi.' } }, { id, event: { type: 'finish', reason: 'stop', usage: {} } }]`;
    const engine = await supervise(
      `if (message.type === 'load') { ${LOADED} }
     if (message.type === 'generate') { const { id } = message.generation; process.send({ type: 'events', events: ${told} }); }`,
    );
    await engine.start(FAKE_SETTINGS, never());
    const heard: GenerationEvent[] = [];
    await new Promise<void>((resolve) => {
      const event = (told: GenerationEvent) => {
        heard.push(told);
        if (told.type === 'finish') resolve();
      };
      engine.access.generate(FAKE_GENERATION, { event, failed() {}, freed() {} });
    });
    expect(heard.slice(0, 2)).toEqual([
      { type: 'reasoning', text: 'Hm.' },
      { type: 'text', text: 'Hi.' },
    ]);
  });

  it('calls no sink before `generate` has returned', async () => {
    const engine = await supervise('');
    const told: string[] = [];
    engine.access.generate(FAKE_GENERATION, {
      event() {},
      failed: ({ code }) => void told.push(code),
      freed() {},
    });
    expect(told).toEqual([]);
    await Promise.resolve();
    expect(told).toEqual(['model_loading']);
  });

  it('keeps what is begun while the generations of a dead engine fail for the next engine', async () => {
    const engine = await supervise(
      `if (message.type === 'load') { ${LOADED} }
     if (message.type === 'generate') { if (message.generation.input.prompt === 'die') process.exit(3); ${FINISH} }`,
    );
    await engine.start(FAKE_SETTINGS, never());
    const next = await new Promise<Promise<string>>((resolve) => {
      const dying = { ...FAKE_GENERATION, input: { kind: 'text', prompt: 'die' } } as const;
      engine.access.generate(dying, { event() {}, failed: () => resolve(outcome(engine)), freed() {} });
    });
    expect(await next).toBe('finish');
  });

  it('rejects a request with model_loading before anything was started', async () => {
    expect(await outcome(await supervise(''))).toBe('model_loading');
  });

  it('does not retry a failed load by itself, but does when it is started again', async () => {
    const engine = await supervise(
      `if (message.type === 'load') process.send({ type: 'load_failed', message: 'No such thing.' });`,
    );
    await expect(engine.start(FAKE_SETTINGS, never())).rejects.toMatchObject({ message: 'No such thing.' });
    expect(engine.state).toMatchObject({ phase: 'failed' });
    await expect(engine.start(FAKE_SETTINGS, never())).rejects.toMatchObject({ message: 'No such thing.' });
    expect(waits).toEqual([]);
  });

  it('keeps trying an engine that was up once when a restart cannot load the model', async () => {
    const loads = join(folder, `${Math.random()}-loads`);
    const engine = await supervise(
      `if (message.type === 'load') {
       fs.appendFileSync(${JSON.stringify(loads)}, '.');
       const count = fs.readFileSync(${JSON.stringify(loads)}).length;
       if (count === 1 || count > 3) { ${LOADED} }
       else process.send({ type: 'load_failed', message: 'Out of memory.' });
     }
     if (message.type === 'generate') process.exit(3);`,
    );
    await engine.start(FAKE_SETTINGS, never());
    expect(await outcome(engine)).toBe('backend_error');
    await vi.waitFor(() => expect(engine.state.phase).toBe('ready'), { interval: 5, timeout: 60_000 });
    expect(waits).toEqual([0, 1000, 2000]);
    expect(logged).toEqual([
      expect.stringMatching(/^engine could not load .*Out of memory\./),
      expect.stringMatching(/^engine could not load .*Out of memory\./),
    ]);
  });

  it('stops waiting for the load at an abort', async () => {
    const engine = await supervise('');
    const abort = new AbortController();
    const started = engine.start(FAKE_SETTINGS, abort.signal);
    abort.abort(new Error('enough'));
    await expect(started).rejects.toThrow('enough');
  });

  it('kills an engine that does not end when ordered to', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const engine = await supervise(
        `if (message.type === 'load') { ${LOADED} while (true) process.umask(); }`,
      );
      await engine.start(FAKE_SETTINGS, never());
      const closed = engine.close();
      await vi.advanceTimersByTimeAsync(2000);
      await closed;
      expect(engine.state.phase).toBe('closed');
    } finally {
      vi.useRealTimers();
    }
  });

  it('asks the next question once the engine has result the one before', async () => {
    const engine = await supervise(
      `if (message.type === 'load') { ${LOADED} }
     if (message.type === 'tokenize') {
       globalThis.asked = (globalThis.asked ?? 0) + 1;
       setTimeout(() => process.send({ type: 'events', events: [{ id: message.id, event: { type: 'tokenized', tokens: [globalThis.asked--] } }] }), 1);
     }`,
    );
    await engine.start(FAKE_SETTINGS, never());
    const ask = () =>
      new Promise<unknown>((resolve) => {
        const question = { type: 'tokenize', input: { kind: 'text', prompt: 'a' } } as const;
        engine.access.tokenize(question, { result: resolve, failed: resolve, freed() {} });
      });
    const answers = await Promise.all([ask(), ask(), ask()]);
    for (const answer of answers) expect(answer).toMatchObject({ type: 'tokenized', tokens: [1] });
  });

  it('refuses questions when too much waits for the engine', async () => {
    const engine = await supervise(`if (message.type === 'load') { ${LOADED} }`);
    await engine.start(FAKE_SETTINGS, never());
    const refusals: unknown[] = [];
    const sink = { result() {}, failed: (error: Error) => void refusals.push(error), freed() {} };
    const prompt = 'a'.repeat(3_000_000);
    for (let count = 0; count < 2; count += 1)
      engine.access.tokenize({ type: 'tokenize', input: { kind: 'text', prompt } }, sink);
    await Promise.resolve();
    expect(refusals).toEqual([expect.objectContaining({ code: 'queue_full', retryAfterSeconds: 1 })]);
  });
});

describe('restart policy', () => {
  it('restarts at once the first time, then after doubling waits up to 30 seconds', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 100].map(restartDelayMs)).toEqual([
      0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });
});
