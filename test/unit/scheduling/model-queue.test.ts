import { describe, expect, it } from 'vitest';
import type { QueueEntry } from '../../../src/scheduling/decision.ts';
import type { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, settled, started, told } from '../../support/scheduling.ts';

function enqueue(scheduler: Scheduler, ids: readonly string[], changes: Partial<QueueEntry> = {}, now = 0) {
  for (const id of ids) scheduler.enqueue(entry(id, changes), now);
}

function full(options: Parameters<typeof started>[0], slots = 1): Scheduler {
  const scheduler = started({ maxQueue: 100, ...options }, slots);
  enqueue(
    scheduler,
    Array.from({ length: slots }, (_, index) => `running${index}`),
  );
  scheduler.tick(0);
  return scheduler;
}

describe('the queue', () => {
  it('of one client is bounded: its newest is told client_queue_full, others are not touched', () => {
    const scheduler = full({ maxQueuePerClient: 2 });
    enqueue(scheduler, ['a1', 'a2', 'a3', 'a4'], { client: 'a' });
    enqueue(scheduler, ['b1'], { client: 'b' });
    expect(told(scheduler.tick(0))).toEqual(['!a4:client_queue_full', '!a3:client_queue_full']);
    expect(scheduler.waiting('m').requests).toBe(3);
  });

  it('that a flood has filled gives way to a light client: the newest of the flood has to go', () => {
    const scheduler = full({ maxQueue: 3 });
    enqueue(scheduler, ['f1', 'f2', 'f3'], { client: 'flood' });
    expect(told(scheduler.tick(0))).toEqual([]);
    enqueue(scheduler, ['light'], { client: 'light' });
    expect(told(scheduler.tick(0))).toEqual(['!f3:queue_full']);
    enqueue(scheduler, ['f4'], { client: 'flood' });
    expect(told(scheduler.tick(0))).toEqual(['!f4:queue_full']);
  });

  it('that is full displaces a lower class before a higher one', () => {
    const scheduler = full({ maxQueue: 3 });
    enqueue(scheduler, ['h1', 'h2'], { client: 'a', priority: 'high' });
    enqueue(scheduler, ['l1'], { client: 'b', priority: 'low' });
    scheduler.tick(0);
    enqueue(scheduler, ['h3'], { client: 'a', priority: 'high' });
    expect(told(scheduler.tick(0))).toEqual(['!l1:queue_full']);
    enqueue(scheduler, ['l2'], { client: 'c', priority: 'low' });
    expect(told(scheduler.tick(0))).toEqual(['!l2:queue_full']);
  });

  it('is bounded in bytes too, and whoever takes up most of them has to go', () => {
    const scheduler = full({ maxQueueBytes: 1000 });
    enqueue(scheduler, ['big1', 'big2'], { client: 'big', sizeBytes: 450 });
    enqueue(scheduler, ['s1', 's2', 's3', 's4'], { client: 'small', sizeBytes: 30 });
    expect(told(scheduler.tick(0))).toEqual(['!big2:queue_full']);
    expect(scheduler.waiting('m')).toEqual({ requests: 5, sizeBytes: 570 });
  });

  it('takes a request of any size where a slot is free', () => {
    const scheduler = started({ maxQueueBytes: 10 });
    enqueue(scheduler, ['huge'], { sizeBytes: 10_000 });
    expect(told(scheduler.tick(0))).toEqual(['huge']);
  });
});

describe('tokens', () => {
  it('bound a batch: what would exceed it leaves in the next one', () => {
    const scheduler = started({ maxBatchTokens: 25 }, 8);
    enqueue(scheduler, ['a', 'b', 'c', 'd', 'e']);
    expect(told(scheduler.tick(0))).toEqual(['a+b', 'c+d', 'e']);
  });

  it('bound what runs on a target, though slots are free', () => {
    const scheduler = started({ maxTokensInFlight: 25 }, 8);
    enqueue(scheduler, ['a', 'b', 'c']);
    expect(told(scheduler.tick(0))).toEqual(['a+b']);
    expect(scheduler.usedOf({ id: 't', model: 'm' })).toEqual({ slots: 2, tokens: 20 });
    scheduler.release('a', settled(), 1);
    expect(told(scheduler.tick(1))).toEqual(['c']);
  });

  it('never shut a request out that alone exceeds them: it runs alone, and nothing slips past it', () => {
    const scheduler = started({ maxTokensInFlight: 25, maxBatchTokens: 25 }, 8);
    enqueue(scheduler, ['small'], { client: 'a' });
    scheduler.tick(0);
    enqueue(scheduler, ['huge'], { client: 'b', maxTokens: 100 });
    enqueue(scheduler, ['behind'], { client: 'c' });
    expect(told(scheduler.tick(0))).toEqual([]);
    scheduler.release('small', settled(), 1);
    expect(told(scheduler.tick(1))).toEqual(['huge']);
    scheduler.release('huge', settled({ answerTokens: 100 }), 2);
    expect(told(scheduler.tick(2))).toEqual(['behind']);
  });
});

describe('a prediction', () => {
  /** One slot that has served ten answers of 100 ms each. */
  function experienced(): { scheduler: Scheduler; now: number } {
    const scheduler = started({ maxQueue: 100 }, 1);
    let now = 0;
    for (let index = 0; index < 10; index += 1) {
      enqueue(scheduler, [`past${index}`], {}, now);
      scheduler.tick(now);
      now += 100;
      scheduler.release(`past${index}`, settled({ firstTokenMs: 20 }), now);
    }
    scheduler.tick(now);
    return { scheduler, now };
  }

  it('of a wait that is too long refuses at once, with the time to retry', () => {
    const { scheduler, now } = experienced();
    enqueue(
      scheduler,
      Array.from({ length: 21 }, (_, index) => `r${index}`),
      {},
      now,
    );
    scheduler.tick(now);
    enqueue(scheduler, ['hopeless'], { client: 'other', priority: 'low', expiresAt: now + 1500 }, now);
    expect(scheduler.tick(now)).toMatchObject([
      { type: 'reject', id: 'hopeless', code: 'queue_timeout', retryAfterSeconds: 3 },
    ]);
    enqueue(scheduler, ['hopeful'], { client: 'other', priority: 'low', expiresAt: now + 3000 }, now);
    expect(told(scheduler.tick(now))).toEqual([]);
  });

  it('is made for the place that a request really has: a light client is not refused for a flood', () => {
    const { scheduler, now } = experienced();
    const flood = Array.from({ length: 50 }, (_, index) => `f${index}`);
    enqueue(scheduler, flood, { client: 'flood', expiresAt: now + 5000 }, now);
    scheduler.tick(now);
    enqueue(scheduler, ['light'], { client: 'light', expiresAt: now + 600 }, now);
    expect(told(scheduler.tick(now))).toEqual([]);
    enqueue(scheduler, ['one more'], { client: 'flood', expiresAt: now + 5000 }, now);
    expect(told(scheduler.tick(now))).toEqual(['!one more:queue_timeout']);
  });

  it('keeps the time for the answer: what could no longer be finished is told so while it waits', () => {
    const { scheduler, now } = experienced();
    enqueue(scheduler, ['running'], {}, now);
    scheduler.tick(now);
    enqueue(scheduler, ['waits'], { expiresAt: now + 300, deadlineAt: now + 300 }, now);
    expect(told(scheduler.tick(now))).toEqual([]);
    // 300 ms, less 100 ms for the answer and a little more for safety.
    const startBy = scheduler.nextWakeAt() ?? 0;
    expect(startBy - now).toBeCloseTo(190, 0);
    expect(told(scheduler.tick(startBy))).toEqual(['!waits:queue_timeout']);
  });

  it('keeps nobody from a slot that is free', () => {
    const { scheduler, now } = experienced();
    enqueue(scheduler, ['brief'], { expiresAt: now + 5, deadlineAt: now + 5 }, now);
    expect(told(scheduler.tick(now))).toEqual(['brief']);
  });

  it('expects no longer an answer than the model has lately given, whatever a client allows', () => {
    const { scheduler, now } = experienced();
    enqueue(scheduler, ['running'], {}, now);
    scheduler.tick(now);
    const deadline = { expiresAt: now + 5000, deadlineAt: now + 5000 };
    enqueue(scheduler, ['allows much'], { maxTokens: 100_000, ...deadline }, now);
    expect(told(scheduler.tick(now))).toEqual([]);
  });

  it('is not trusted before there is any experience', () => {
    const scheduler = full({});
    enqueue(scheduler, ['a', 'b', 'c', 'd'], { expiresAt: 100 });
    expect(told(scheduler.tick(0))).toEqual([]);
  });
});

describe('a batch that is collecting', () => {
  it('leaves when one of it could not be finished in time otherwise', () => {
    const scheduler = started({ mode: 'window', windowMs: 50 }, 2);
    enqueue(scheduler, ['patient'], {}, 0);
    enqueue(scheduler, ['hurried'], { expiresAt: 20, deadlineAt: 20 }, 0);
    scheduler.tick(0);
    for (let index = 0, now = 50; index < 10; index += 1, now += 200) {
      scheduler.tick(now);
      for (const id of index === 0 ? ['patient', 'hurried'] : [`past${index}`])
        scheduler.release(id, settled({ firstTokenMs: 20 }), now + 100);
      enqueue(scheduler, [`past${index + 1}`], {}, now + 100);
      scheduler.tick(now + 100);
    }
    const now = 3000;
    scheduler.tick(now);
    scheduler.release('past10', settled({ firstTokenMs: 20 }), now + 100);
    enqueue(scheduler, ['a', 'b'], {}, now + 100);
    enqueue(scheduler, ['brief'], { expiresAt: now + 190, deadlineAt: now + 190 }, now + 100);
    expect(told(scheduler.tick(now + 100))).toEqual(['brief+a']);
  });
});

it('releasing what still waits does nothing: it is served, and its slot comes back', () => {
  const scheduler = full({});
  enqueue(scheduler, ['a'], {}, 0);
  scheduler.tick(0);
  scheduler.release('a', settled(), 1);
  scheduler.release('running0', settled(), 1);
  expect(told(scheduler.tick(1))).toEqual(['a']);
  scheduler.release('a', settled(), 2);
  expect(scheduler.usedOf({ id: 't', model: 'm' })).toEqual({ slots: 0, tokens: 0 });
});

it('a bound beyond all reason does not upset the sums', () => {
  const scheduler = started({}, 4);
  enqueue(scheduler, ['small']);
  enqueue(scheduler, ['beyond'], { maxTokens: Number.MAX_SAFE_INTEGER });
  scheduler.tick(0);
  for (const id of ['beyond', 'small']) scheduler.release(id, settled(), 1);
  expect(scheduler.usedOf({ id: 't', model: 'm' })).toEqual({ slots: 0, tokens: 0 });
});

describe('a clock that goes back', () => {
  const HOUR_MS = 3_600_000;

  it('loses nobody, and makes nobody wait for longer than was said', () => {
    const scheduler = full({});
    enqueue(scheduler, ['before'], { expiresAt: HOUR_MS + 1000 }, HOUR_MS);
    scheduler.tick(HOUR_MS);
    enqueue(scheduler, ['after'], { expiresAt: 1500 }, 0);
    expect(scheduler.nextWakeAt(), 'a tick at the end of this turn').toBeLessThanOrEqual(0);
    expect(told(scheduler.tick(0))).toEqual([]);
    expect(scheduler.nextWakeAt()).toBe(1000);
    expect(told(scheduler.tick(1000))).toEqual(['!before:queue_timeout']);
    scheduler.release('running0', settled(), 1100);
    expect(told(scheduler.tick(1100))).toEqual(['after']);
  });

  it('keeps no batch open', () => {
    const scheduler = started({ mode: 'window', windowMs: 50 });
    enqueue(scheduler, ['a'], {}, HOUR_MS);
    scheduler.tick(HOUR_MS);
    scheduler.tick(0);
    expect(scheduler.nextWakeAt()).toBe(50);
    expect(told(scheduler.tick(50))).toEqual(['a']);
  });
});
