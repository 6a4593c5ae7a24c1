/** When an engine counts as hung, and when it does not; time is moved by hand. */
import { beforeEach, expect, it } from 'vitest';
import { Watchdog } from '../../../../src/backends/llama-cpp/watchdog.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

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
  watchdog.watch({ limitMs: LIMIT_MS, hasWork: () => working, idleness: 'it finished no step' });
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
  paused.watch({ limitMs: LIMIT_MS, hasWork: () => true, idleness: 'it finished no step' });
  for (let steps = 1; steps <= 100; steps++) {
    // After the pause the timer runs first, and only then is the answer read.
    late.runAfter(3_600_000);
    paused.alive(steps);
    late.runAfter(LIMIT_MS / 10);
  }
  expect(hung).toEqual([]);
});

it('begins anew with other work, and stops when told to', async () => {
  await clock.advance(LIMIT_MS);
  watchdog.watch({ limitMs: 10 * LIMIT_MS, hasWork: () => true, idleness: 'its load made no progress' });
  await clock.advance(10 * LIMIT_MS);
  expect(hung).toEqual([]);
  watchdog.stop();
  await clock.advance(100 * LIMIT_MS);
  expect(hung).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});
