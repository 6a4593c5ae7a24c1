import { describe, expect, it } from 'vitest';
import type { QueueEntry } from '../../../src/scheduling/decision.ts';
import type { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, settled, started, told } from '../../support/scheduling.ts';

function enqueue(scheduler: Scheduler, ids: readonly string[], changes: Partial<QueueEntry> = {}, now = 0) {
  for (const id of ids) scheduler.enqueue(entry(id, changes), now);
}

/** One slot: ends what runs and lets the next one in, until nobody waits; the order in which they came to run. */
function served(scheduler: Scheduler, running: string, now = 0): string[] {
  const order: string[] = [];
  for (let last = running; ; ) {
    scheduler.release(last, settled(), now);
    const [next] = told(scheduler.tick(now));
    if (next === undefined) return order;
    order.push(next);
    last = next;
  }
}

function withOneRunning(options: Parameters<typeof started>[0] = {}): Scheduler {
  const scheduler = started({ maxQueue: 100, ...options }, 1);
  enqueue(scheduler, ['running'], { client: 'nobody' });
  scheduler.tick(0);
  return scheduler;
}

describe('clients', () => {
  it('take turns, however much one of them has waiting', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['a1', 'a2', 'a3', 'a4'], { client: 'a' });
    enqueue(scheduler, ['b1'], { client: 'b' });
    enqueue(scheduler, ['c1', 'c2'], { client: 'c' });
    expect(served(scheduler, 'running')).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4']);
  });

  it('share in tokens, not in turns: four small requests weigh as much as one large', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['L1', 'L2', 'L3'], { client: 'large', promptTokens: 0, maxTokens: 1024 });
    enqueue(scheduler, ['s1', 's2', 's3', 's4', 's5', 's6', 's7', 's8'], {
      client: 'small',
      promptTokens: 0,
      maxTokens: 256,
    });
    const order: string[] = [];
    for (let last = 'running'; order.length < 10; ) {
      const large = last.startsWith('L');
      scheduler.release(last, settled({ promptTokens: 0, answerTokens: large ? 1024 : 256 }), 0);
      last = told(scheduler.tick(0))[0] ?? '';
      order.push(last);
    }
    expect(order).toEqual(['L1', 's1', 's2', 's3', 's4', 'L2', 's5', 's6', 's7', 's8']);
  });

  it('are charged for what they used, not for what they asked for', () => {
    const scheduler = withOneRunning();
    const modest = ['m1', 'm2', 'm3', 'm4'];
    // Asks for much, uses little; the other way round is the same: the client that set no bound and used much.
    enqueue(scheduler, modest, { client: 'modest', promptTokens: 0, maxTokens: 2560 });
    enqueue(scheduler, ['g1', 'g2', 'g3'], { client: 'greedy', promptTokens: 0, maxTokens: 512 });
    const order: string[] = [];
    for (let last = 'running'; order.length < 7; ) {
      scheduler.release(last, settled({ promptTokens: 0, answerTokens: last.startsWith('m') ? 10 : 512 }), 0);
      last = told(scheduler.tick(0))[0] ?? '';
      order.push(last);
    }
    expect(order).toEqual(['m1', 'g1', 'm2', 'm3', 'm4', 'g2', 'g3']);
  });

  it('who come back have not saved up for it', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['a1', 'a2', 'a3', 'a4', 'a5', 'a6'], { client: 'a', maxTokens: 510 });
    let last = 'running';
    for (const _ of ['a1', 'a2', 'a3']) {
      scheduler.release(last, settled({ answerTokens: 510 }), 0);
      last = told(scheduler.tick(0))[0] ?? '';
    }
    // Absent all the while: it starts where the others are now, and gets one turn, not three.
    enqueue(scheduler, ['late1', 'late2', 'late3'], { client: 'late', maxTokens: 510 });
    const order: string[] = [];
    while (order.length < 4) {
      scheduler.release(last, settled({ answerTokens: 510 }), 0);
      last = told(scheduler.tick(0))[0] ?? '';
      order.push(last);
    }
    expect(order).toEqual(['a4', 'late1', 'a5', 'late2']);
  });

  it('who come anew are not held back by what others were charged ahead and got back', () => {
    const scheduler = started({ maxQueue: 1000 }, 8);
    const large = Array.from({ length: 8 }, (_, index) => `large${index}`);
    enqueue(scheduler, large, { client: 'flood', maxTokens: 4096 });
    scheduler.tick(0);
    const small = Array.from({ length: 100 }, (_, index) => `small${index}`);
    enqueue(scheduler, small, { client: 'flood' });
    scheduler.tick(0);
    for (const id of large) scheduler.release(id, settled({ answerTokens: 10 }), 1);
    scheduler.tick(1);
    enqueue(scheduler, ['light'], { client: 'light' }, 2);
    const next = ['small0', 'small1'].flatMap((id) => {
      scheduler.release(id, settled(), 2);
      return told(scheduler.tick(2));
    });
    expect(next).toContain('light');
  });
});

describe('within one client’s flow', () => {
  it('the earliest deadline is served first, of equals the one that came first', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['patient1', 'patient2'], { expiresAt: 9000 });
    enqueue(scheduler, ['hurried'], { expiresAt: 500 });
    enqueue(scheduler, ['patient3'], { expiresAt: 9000 });
    expect(served(scheduler, 'running')).toEqual(['hurried', 'patient1', 'patient2', 'patient3']);
  });

  it('a deadline gets no client ahead of another', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['a1'], { client: 'a', expiresAt: 9000 });
    enqueue(scheduler, ['b1', 'b2'], { client: 'b', expiresAt: 10 });
    expect(served(scheduler, 'running')).toEqual(['a1', 'b1', 'b2']);
  });
});

describe('priorities', () => {
  it('are strict: high before normal before low', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['low'], { priority: 'low' });
    enqueue(scheduler, ['normal'], { priority: 'normal' });
    enqueue(scheduler, ['high1', 'high2'], { priority: 'high' });
    expect(served(scheduler, 'running')).toEqual(['high1', 'high2', 'normal', 'low']);
  });

  it('let a lower one pass that was passed over for the ageing time, once in that time', () => {
    const scheduler = withOneRunning({ agingMs: 100 });
    enqueue(scheduler, ['low1', 'low2'], { priority: 'low' });
    enqueue(scheduler, ['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'h7'], { priority: 'high' });
    const order: string[] = [];
    let last = 'running';
    for (let now = 0; order.length < 9; now += 40) {
      scheduler.release(last, settled(), now);
      last = told(scheduler.tick(now))[0] ?? '';
      order.push(`${now}:${last}`);
    }
    expect(order).toEqual([
      '0:h1',
      '40:h2',
      '80:h3',
      '120:low1',
      '160:h4',
      '200:h5',
      '240:h6',
      '280:low2',
      '320:h7',
    ]);
  });

  it('that are low are not refused for what is above them, where ageing will let them through', () => {
    const scheduler = withOneRunning({ agingMs: 200 });
    let last = 'running';
    let now = 0;
    const serveNext = (durationMs: number) => {
      now += durationMs;
      scheduler.release(last, settled({ firstTokenMs: 10 }), now);
      last = told(scheduler.tick(now))[0] ?? '';
      return last;
    };
    const highs = Array.from({ length: 90 }, (_, index) => `high${index}`);
    enqueue(scheduler, highs, { priority: 'high', client: 'high' });
    for (let index = 0; index < 20; index += 1) serveNext(50);
    // Some 3.5 seconds of high ones are ahead of them.
    enqueue(
      scheduler,
      ['low1', 'low2', 'low3'],
      { priority: 'low', client: 'low', expiresAt: now + 600 },
      now,
    );
    expect(told(scheduler.tick(now))).toEqual(['!low3:queue_timeout']);
    const served = Array.from({ length: 11 }, () => serveNext(50));
    expect(served.indexOf('low1')).toBe(4);
    expect(served.indexOf('low2')).toBe(9);
  });

  it('are kept while slots are rarely free: a low one is not overdue because nobody was served', () => {
    const scheduler = withOneRunning({ agingMs: 100 });
    enqueue(scheduler, ['low'], { priority: 'low' });
    enqueue(scheduler, ['high'], { priority: 'high' });
    expect(served(scheduler, 'running', 60_000)).toEqual(['high', 'low']);
  });

  it('and clients play no part in the order "fifo"', () => {
    const scheduler = withOneRunning({ order: 'fifo' });
    enqueue(scheduler, ['a1', 'a2'], { client: 'a', priority: 'low' });
    enqueue(scheduler, ['b1'], { client: 'b', priority: 'high', expiresAt: 10 });
    expect(served(scheduler, 'running')).toEqual(['a1', 'a2', 'b1']);
  });
});

describe('the place in the queue', () => {
  it('counts what goes before, in the order in which it will be served', () => {
    const scheduler = withOneRunning();
    enqueue(scheduler, ['a1', 'a2', 'a3', 'a4'], { client: 'a' });
    enqueue(scheduler, ['b1', 'b2'], { client: 'b' });
    enqueue(scheduler, ['high'], { client: 'c', priority: 'high' });
    scheduler.tick(0);
    const positions = ['high', 'a1', 'b1', 'a2'].map((id) => scheduler.position(id)?.position);
    expect(positions).toEqual([1, 2, 3, 4]);
    expect(scheduler.position('running')).toBeUndefined();
  });

  it('of a client alone is exact all the way', () => {
    const scheduler = withOneRunning();
    const ids = Array.from({ length: 20 }, (_, index) => `r${index}`);
    enqueue(scheduler, ids);
    scheduler.tick(0);
    expect(ids.map((id) => scheduler.position(id)?.position)).toEqual(ids.map((_, index) => index + 1));
  });

  it('is told while a batch is still collecting', () => {
    const scheduler = started({ mode: 'window', windowMs: 50 }, 1);
    enqueue(scheduler, ['a', 'b', 'c']);
    scheduler.tick(0);
    expect(['a', 'b', 'c'].map((id) => scheduler.position(id)?.position)).toEqual([1, 2, 3]);
  });
});
