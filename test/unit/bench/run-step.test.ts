/** One load on a server: users that wait, and arrivals that wait for nobody, on a fake clock. */
import { describe, expect, it } from 'vitest';
import type { PlannedRequest, Step } from '../../../src/bench/plan.ts';
import type { RequestRecord } from '../../../src/bench/record.ts';
import { runStep, type StepLimits } from '../../../src/bench/run-step.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const OPEN: Step = { kind: 'open', rate: 10, burstiness: 1 };
const NO_LIMITS: StepLimits = { requests: 1000, durationMs: Number.POSITIVE_INFINITY, maxInFlight: 1000 };

function* requestsEvery(gapMs: number | undefined): Generator<PlannedRequest, never> {
  for (let index = 0; ; index += 1) {
    const dueAt = gapMs === undefined ? undefined : index * gapMs;
    yield { index, dueAt, messages: [], promptTokens: 1, outputTokens: 1 };
  }
}

/** Answers take `answerMs`; at most `slots` of them at the same time make progress. */
function run(step: Step, gapMs: number | undefined, answerMs: number, limits: Partial<StepLimits>) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const sentAt: number[] = [];
  const turns: number[] = [];
  const records: RequestRecord[] = [];
  let inFlight = 0;
  let mostInFlight = 0;
  const ended = runStep(step, requestsEvery(gapMs), {
    ...{ clock, signal: stop.signal, limits: { ...NO_LIMITS, ...limits } },
    send: ({ index, dueAt }, { stepBeganAt: beganAt, turn }) => {
      turns.push(turn);
      const sent = clock.now() - beganAt;
      sentAt.push(sent);
      inFlight += 1;
      mostInFlight = Math.max(mostInFlight, inFlight);
      return new Promise((resolve) => {
        const finish = () => {
          inFlight -= 1;
          resolve({
            index,
            startedAt: dueAt ?? sent,
            sentAt: sent,
            endedAt: clock.now() - beganAt,
          } as RequestRecord);
        };
        clock.schedule(answerMs, finish);
        stop.signal.addEventListener('abort', finish, { once: true });
      });
    },
    onRecord: (record) => records.push(record),
  });
  return { clock, stop, sentAt, turns, records, ended, mostInFlight: () => mostInFlight };
}

describe('a closed loop', () => {
  const users: Step = { kind: 'closed', concurrency: 3 };

  it('sends the next request when the last is answered, and as many as were asked for', async () => {
    const { clock, sentAt, turns, records, ended, mostInFlight } = run(users, undefined, 100, {
      requests: 7,
    });
    await clock.advance(400);
    await ended;
    expect(sentAt).toEqual([0, 0, 0, 100, 100, 100, 200]);
    expect(turns, 'who sends, of three users').toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(records).toHaveLength(7);
    expect(mostInFlight()).toBe(3);
  });

  it('sends nothing new after its time, and waits for what is under way', async () => {
    const { clock, sentAt, records, ended } = run(users, undefined, 100, { durationMs: 150 });
    await clock.advance(400);
    await ended;
    expect(sentAt).toEqual([0, 0, 0, 100, 100, 100]);
    expect(records).toHaveLength(6);
  });

  it('ends when the user has seen enough', async () => {
    const { clock, stop, records, ended } = run(users, undefined, 1000, {});
    await clock.advance(50);
    stop.abort();
    await ended;
    expect(records).toHaveLength(3);
  });
});

describe('an open loop', () => {
  it('sends when a request is due, however long answers take', async () => {
    const { clock, sentAt, ended } = run(OPEN, 100, 5000, { requests: 4 });
    await clock.advance(6000);
    await ended;
    expect(sentAt).toEqual([0, 100, 200, 300]);
  });

  it('ends with the last request that is due in its time', async () => {
    const { clock, records, ended } = run(OPEN, 100, 50, { durationMs: 250 });
    await clock.advance(400);
    await ended;
    expect(records).toHaveLength(3);
  });

  it('a client that can have no more requests open sends late, and latency counts from when they were due', async () => {
    const { clock, records, ended, mostInFlight } = run(OPEN, 100, 1000, { requests: 4, maxInFlight: 2 });
    await clock.advance(4000);
    await ended;
    expect(mostInFlight()).toBe(2);
    expect(records.map(({ startedAt, sentAt, endedAt }) => [startedAt, sentAt, endedAt])).toEqual([
      [0, 0, 1000],
      [100, 100, 1100],
      [200, 1000, 2000],
      [300, 1100, 2100],
    ]);
  });

  it('ends at once when the user has seen enough, also while it waits for the next arrival', async () => {
    const { clock, stop, records, ended } = run(OPEN, 60_000, 10, {});
    await clock.advance(100);
    stop.abort();
    await ended;
    expect(records).toHaveLength(1);
  });
});
