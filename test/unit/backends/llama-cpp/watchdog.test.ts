import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Supervisor } from '../../../../src/backends/llama-cpp/supervisor.ts';
import { Watchdog } from '../../../../src/backends/llama-cpp/watchdog.ts';
import { never } from '../../../support/embedded-engine.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import {
  FAKE_GENERATION,
  FAKE_SETTINGS,
  FINISH,
  fakeEngines,
  LOADED,
  recordingLog,
} from '../../../support/fake-engine.ts';
import { processListeners } from '../../../support/process-listeners.ts';
import { processState } from '../../../support/process-table.ts';

describe('watchdog', () => {
  /** When an engine counts as hung, and when it does not; time is moved by hand. */

  const LIMIT_MS = 10_000;

  /** Runs its one timer as late as it is told to: as after a pause of the process. */
  class LateClock extends FakeClock {
    #due: (() => void) | undefined;
    #now = 0;

    override now(): number {
      return this.#now;
    }

    override schedule(_delayMs: number, run: () => void) {
      this.#due = run;
      return { cancel: () => {} };
    }

    runAfter(pauseMs: number): void {
      this.#now += pauseMs;
      this.#due?.();
    }
  }

  let clock: FakeClock;
  let watchdog: Watchdog;
  let pings: number;
  let hung: string[];
  let working: boolean;
  /** What the engine answers to a ping; undefined: nothing. */
  let answer: (() => number) | undefined;

  beforeEach(() => {
    clock = new FakeClock();
    pings = 0;
    hung = [];
    working = true;
    answer = undefined;
    watchdog = new Watchdog({
      clock,
      ping: () => {
        pings += 1;
        if (answer) watchdog.alive(answer());
      },
      onHung: (how) => hung.push(how),
    });
    watchdog.watch({ limitMs: LIMIT_MS, hasWork: () => working, symptom: 'it finished no step' });
  });

  it('lets an engine live that answers and finishes steps', async () => {
    let steps = 0;
    answer = () => ++steps;
    await clock.advance(100 * LIMIT_MS);
    expect(hung).toEqual([]);
    expect(pings).toBe(1000);
  });

  it('notices one that does not answer, after the limit and within a fifth more, and once', async () => {
    await clock.advance(LIMIT_MS);
    expect(hung).toEqual([]);
    await clock.advance(LIMIT_MS / 5);
    expect(hung).toEqual(['it did not answer for 10 s']);
    await clock.advance(10 * LIMIT_MS);
    expect(hung).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('notices one that does not answer although it has no work', async () => {
    working = false;
    await clock.advance(1.2 * LIMIT_MS);
    expect(hung).toEqual(['it did not answer for 10 s']);
  });

  it('notices one that answers and has work, but gets nowhere', async () => {
    answer = () => 7;
    await clock.advance(LIMIT_MS);
    expect(hung).toEqual([]);
    await clock.advance(0.3 * LIMIT_MS);
    expect(hung).toEqual(['it finished no step for 10 s']);
  });

  it('lets one rest that has no work', async () => {
    answer = () => 7;
    working = false;
    await clock.advance(100 * LIMIT_MS);
    expect(hung).toEqual([]);
  });

  it('counts from the beginning of the work, not from the last step before it', async () => {
    answer = () => 7;
    working = false;
    await clock.advance(50 * LIMIT_MS);
    working = true;
    await clock.advance(0.99 * LIMIT_MS);
    expect(hung).toEqual([]);
    await clock.advance(0.3 * LIMIT_MS);
    expect(hung).toHaveLength(1);
  });

  it('forgives a long silence that ends in time', async () => {
    let steps = 0;
    for (let times = 0; times < 5; times++) {
      answer = undefined;
      await clock.advance(0.9 * LIMIT_MS);
      answer = () => ++steps;
      await clock.advance(0.2 * LIMIT_MS);
    }
    expect(hung).toEqual([]);
  });

  it('takes a pause of its own process, however long, for one missed answer', () => {
    const late = new LateClock();
    const paused = new Watchdog({ clock: late, ping() {}, onHung: (how) => hung.push(how) });
    paused.watch({ limitMs: LIMIT_MS, hasWork: () => true, symptom: 'it finished no step' });
    for (let steps = 1; steps <= 100; steps++) {
      // After the pause the timer runs first, and only then is the answer read.
      late.runAfter(3_600_000);
      paused.alive(steps);
      late.runAfter(LIMIT_MS / 10);
    }
    expect(hung).toEqual([]);
  });

  it('starts over with other work, and stops on request', async () => {
    await clock.advance(LIMIT_MS);
    watchdog.watch({ limitMs: 10 * LIMIT_MS, hasWork: () => true, symptom: 'its load made no progress' });
    await clock.advance(10 * LIMIT_MS);
    expect(hung).toEqual([]);
    watchdog.stop();
    await clock.advance(100 * LIMIT_MS);
    expect(hung).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the supervisor, where the engine hangs', () => {
  /** Engines that hang are replaced, others are left alone; and however often that happens, nothing piles up. */

  const STEP_MS = 10_000;
  const LOAD_MS = 100_000;
  const SOON = { timeout: 60_000, interval: 5 };
  /** Answers pings; `steps` is the script's own count. */
  const ANSWER = `if (message.type === 'ping') { process.send({ type: 'alive', progress: steps }); process.send({ type: 'log', level: 'debug', message: 'answered' }); }`;

  const fakeEngine = fakeEngines();
  let supervisor: Supervisor | undefined;

  afterEach(() => supervisor?.close());

  function supervise(onMessage: string) {
    const clock = new FakeClock();
    const { log, lines } = recordingLog();
    const engine = new Supervisor({
      clock,
      log,
      enginePath: fakeEngine(onMessage),
      environment: process.env,
      stepTimeoutMs: STEP_MS,
      loadTimeoutMs: LOAD_MS,
    });
    supervisor = engine;
    const pids = () =>
      lines.filter(({ message }) => message === 'engine ready').map(({ fields }) => Number(fields.pid));
    const answers = () => lines.filter(({ fields }) => fields.line === 'answered').length;
    const until = (phase: string) => vi.waitFor(() => expect(engine.state.phase).toBe(phase), SOON);
    /** As many pings as fit into the time, each answered before the next. */
    const beat = async (times: number, limitMs: number) => {
      for (let count = 0; count < times; count++) {
        const before = answers();
        await clock.advance(limitMs / 10);
        await vi.waitFor(() => expect(answers()).toBeGreaterThan(before), SOON);
      }
    };
    return { engine, clock, lines, pids, until, beat };
  }

  function outcome(of: Supervisor): Promise<string> {
    return new Promise((resolve) => {
      of.access.generate(FAKE_GENERATION, {
        event: ({ type }) => type === 'finish' && resolve('finish'),
        failed: (error) => resolve(error.message),
        freed: () => resolve('freed'),
      });
    });
  }

  it('learns with each sign of life how much of the KV cache is held, of the engine that runs', async () => {
    const { engine, beat, pids, until, clock, lines } = supervise(
      `if (message.type === 'load') { ${LOADED} }
       if (message.type === 'generate') process.exit(1);
       if (message.type === 'ping') { process.send({ type: 'alive', progress: 1, worksForGuests: false, kvCacheUsed: 0.25 }); process.send({ type: 'log', level: 'debug', message: 'answered' }); }`,
    );
    await engine.start(FAKE_SETTINGS, never());
    expect(engine.kvCacheUsed).toBeUndefined();
    await beat(1, STEP_MS);
    expect(engine.kvCacheUsed).toBe(0.25);
    await outcome(engine);
    await vi.waitFor(() => expect(lines.map(({ message }) => message)).toContain('engine died'), SOON);
    await clock.advance(0);
    await until('ready');
    expect(pids()).toHaveLength(2);
    expect(engine.kvCacheUsed).toBeUndefined();
  });

  describe('an engine that hangs', () => {
    it('in its event loop is killed, its generations fail, those that come wait for the next engine', async () => {
      const { engine, clock, pids, until, lines } = supervise(
        `if (message.type === 'load') { ${LOADED} }
       if (message.type === 'generate') { if (message.generation.id === 1) for (;;); ${FINISH} }`,
      );
      await engine.start(FAKE_SETTINGS, never());
      const lost = outcome(engine);
      await clock.advance(1.3 * STEP_MS);
      expect(await lost).toMatch(/engine hung while it worked on this request.*send the request again/i);
      expect(engine.state).toMatchObject({ phase: 'restarting', waitWorthwhile: true });
      const next = outcome(engine);
      await vi.waitFor(() => expect(lines.map(({ message }) => message)).toContain('engine died'), SOON);
      await clock.advance(0);
      await until('ready');
      expect(await next).toBe('finish');
      const [first, second] = pids();
      expect(second).not.toBe(first);
      expect(processState(first)).toBe('');
      expect(lines).toContainEqual({
        level: 'error',
        message: 'engine hangs',
        fields: { pid: first, how: 'it did not answer for 10 s' },
      });
      expect(lines.find(({ message }) => message === 'engine died')?.fields).toMatchObject({
        how: 'it did not answer for 10 s and was killed',
      });
    });

    it('in a step is killed although its event loop answers', async () => {
      const { engine, beat, clock, pids, until, lines } = supervise(
        `let steps = 3; ${ANSWER} if (message.type === 'load') { ${LOADED} }`,
      );
      await engine.start(FAKE_SETTINGS, never());
      await beat(30, STEP_MS);
      expect(pids()).toHaveLength(1);
      const lost = outcome(engine);
      await beat(10, STEP_MS);
      expect(engine.state.phase).toBe('ready');
      await clock.advance(0.2 * STEP_MS);
      expect(await lost).toMatch(/hung/);
      expect(lines).toContainEqual(
        expect.objectContaining({
          message: 'engine hangs',
          fields: { pid: pids()[0], how: 'it finished no step for 10 s' },
        }),
      );
      await vi.waitFor(() => expect(lines.map(({ message }) => message)).toContain('engine died'), SOON);
      await clock.advance(0);
      await until('ready');
    });

    it('in a step for another process is killed, and let live while no step is due there', async () => {
      const { engine, beat, clock, pids, until, lines } = supervise(
        `globalThis.work ??= false; if (message.type === 'tokenize') work = true;
       if (message.type === 'ping') { process.send({ type: 'alive', progress: 3, worksForGuests: work }); process.send({ type: 'log', level: 'debug', message: 'answered' }); }
       if (message.type === 'load') { ${LOADED} }
       if (message.type === 'tokenize') process.send({ type: 'events', events: [{ id: message.id, event: { type: 'tokenized', tokens: [] } }] });`,
      );
      await engine.start(FAKE_SETTINGS, never());
      await beat(30, STEP_MS);
      expect(pids()).toHaveLength(1);
      // From now on the script says that it works for another.
      await new Promise<void>((resolve) => {
        const request = { type: 'tokenize', input: { kind: 'text', prompt: 'a' } } as const;
        engine.access.tokenize(request, { result: () => resolve(), failed() {}, freed() {} });
      });
      await beat(10, STEP_MS);
      expect(engine.state.phase).toBe('ready');
      // Its first answer that says so may be the next one.
      await vi.waitFor(async () => {
        await clock.advance(0.2 * STEP_MS);
        expect(lines.map(({ message }) => message)).toContain('engine hangs');
      }, SOON);
      await vi.waitFor(() => expect(lines.map(({ message }) => message)).toContain('engine died'), SOON);
      await clock.advance(0);
      await until('ready');
    });

    it('while it loads is killed; a load that makes progress may take as long as it wants', async () => {
      const { engine, beat, clock, lines } = supervise(
        `globalThis.steps ??= 0; if (message.type === 'ping' && steps < 25) steps += 1; ${ANSWER}`,
      );
      const started = engine.start(FAKE_SETTINGS, never());
      started.catch(() => {});
      await expect.poll(() => engine.state.phase).toBe('loading');
      await beat(36, LOAD_MS);
      expect(engine.state.phase).toBe('loading');
      await clock.advance(0.1 * LOAD_MS);
      expect(lines).toContainEqual(
        expect.objectContaining({
          message: 'engine hangs',
          fields: { pid: expect.any(Number), how: 'its load made no progress for 100 s' },
        }),
      );
    });

    it('each time it is loaded is given up', async () => {
      const { engine, clock, lines } = supervise('');
      const started = engine.start(FAKE_SETTINGS, never());
      const refused = expect(started).rejects.toThrow(
        /died 3 times while it loaded a\.gguf \(it did not answer for 100 s/,
      );
      for (let hangs = 1; hangs <= 3; hangs++) {
        await clock.advance(1.2 * LOAD_MS);
        await vi.waitFor(
          () => expect(lines.filter(({ message }) => message === 'engine hangs')).toHaveLength(hangs),
          SOON,
        );
        if (hangs < 3)
          await vi.waitFor(
            () => expect(lines.filter(({ message }) => message === 'engine died')).toHaveLength(hangs),
            SOON,
          );
      }
      await refused;
      expect(engine.state.phase).toBe('failed');
    });
  });

  describe('an engine that works', () => {
    it('on and on, step after step, is left alone', async () => {
      const { engine, beat, pids } = supervise(
        `globalThis.steps ??= 0; if (message.type === 'ping') steps += 1; ${ANSWER} if (message.type === 'load') { ${LOADED} }`,
      );
      await engine.start(FAKE_SETTINGS, never());
      void outcome(engine);
      await beat(60, STEP_MS);
      expect(engine.state.phase).toBe('ready');
      expect(pids()).toHaveLength(1);
    });
  });

  describe('an engine whose generations are all paused', () => {
    const ANSWERS_ONLY = `let steps = 3; ${ANSWER} if (message.type === 'load') { ${LOADED} }`;

    function generate(engine: Supervisor) {
      let outcome = 'none';
      const handle = engine.access.generate(FAKE_GENERATION, {
        event() {},
        failed: (error) => {
          outcome = error.message;
        },
        freed: () => {
          outcome = 'freed';
        },
      });
      return { handle, outcome: () => outcome };
    }

    it('is left alone although it finishes no step', async () => {
      const { engine, beat, pids } = supervise(ANSWERS_ONLY);
      await engine.start(FAKE_SETTINGS, never());
      const { handle, outcome } = generate(engine);
      handle.pause();
      await beat(40, STEP_MS);
      expect([engine.state.phase, pids().length, outcome()]).toEqual(['ready', 1, 'none']);
    });

    it.each(['resume', 'abort'] as const)('has to get on after %s, from then on', async (what) => {
      const { engine, beat, clock } = supervise(ANSWERS_ONLY);
      await engine.start(FAKE_SETTINGS, never());
      const { handle, outcome } = generate(engine);
      handle.pause();
      await beat(30, STEP_MS);
      handle[what]();
      await beat(10, STEP_MS);
      expect(engine.state.phase).toBe('ready');
      await clock.advance(0.2 * STEP_MS);
      expect(outcome()).toMatch(/hung/);
    });
  });

  it('ten restarts leave no timer, no listener, no handle and no process behind', async () => {
    const { engine, clock, pids, until, lines } = supervise(
      `if (message.type === 'load') { ${LOADED} } if (message.type === 'generate') process.exit(3);`,
    );
    await engine.start(FAKE_SETTINGS, never());
    const held = () => process.getActiveResourcesInfo().filter((name) => /Pipe|Process/.test(name)).length;
    const before = { timers: clock.pendingTimers, listeners: processListeners(), held: held() };
    for (let crash = 1; crash <= 10; crash++) {
      expect(await outcome(engine)).toMatch(/stopped/);
      await vi.waitFor(
        () => expect(lines.filter(({ message }) => message === 'engine died')).toHaveLength(crash),
        SOON,
      );
      await clock.advance(30_000);
      await until('ready');
    }
    expect(pids()).toHaveLength(11);
    expect(clock.pendingTimers).toBe(before.timers);
    // Other tests of this process have handles too, and one of the process that died last may close later than it: ten
    // would be one for each restart.
    expect(processListeners()).toBeLessThan(before.listeners + 5);
    await expect.poll(held).toBeLessThan(before.held + 5);
    await engine.close();
    expect(clock.pendingTimers).toBe(0);
    expect(pids().filter((pid) => processState(pid) !== '')).toEqual([]);
  });
});
