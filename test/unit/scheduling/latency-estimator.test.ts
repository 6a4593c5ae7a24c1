import { describe, expect, it } from 'vitest';
import type { Settlement } from '../../../src/scheduling/decision.ts';
import { ServiceTime, WaitPredictor } from '../../../src/scheduling/latency-estimator.ts';
import { Scheduler } from '../../../src/scheduling/scheduler.ts';
import { entry, FAR, SCHEDULER } from '../../support/scheduling.ts';

describe('predictions', () => {
  function work(promptTokens: number, answerTokens: number, requests = 1) {
    return { requests, promptTokens, answerTokens };
  }

  describe('the service time', () => {
    it('tells the fixed cost of a request from the cost of its prompt and of its answer', () => {
      const serviceTime = new ServiceTime();
      for (let index = 0; index < 200; index += 1) {
        const [prompt, answer] = [10 + (index % 7) * 200, 16 + (index % 5) * 60];
        const firstTokenMs = 30 + prompt * 0.5;
        const durationMs = firstTokenMs + answer * 20;
        serviceTime.record({ work: work(prompt, answer), firstTokenMs, durationMs });
      }
      expect(Math.abs(serviceTime.of(work(2000, 10)) / 1230 - 1)).toBeLessThan(0.1);
      expect(Math.abs(serviceTime.of(work(10, 400)) / 8035 - 1)).toBeLessThan(0.1);
    });

    it('makes no slope of noise where all requests are alike', () => {
      const serviceTime = new ServiceTime();
      for (let index = 0; index < 200; index += 1) {
        const noise = ((index * 7919) % 100) / 100;
        const sample = { work: work(20 + (index % 3), 100), firstTokenMs: 50 + 50 * noise, durationMs: 2100 };
        serviceTime.record(sample);
      }
      expect(serviceTime.of(work(4000, 100))).toBeLessThan(4000);
    });

    it('follows when the backend becomes slower', () => {
      const serviceTime = new ServiceTime();
      const record = (durationMs: number) =>
        serviceTime.record({ work: work(10, 10), firstTokenMs: 0, durationMs });
      for (let index = 0; index < 100; index += 1) record(100);
      for (let index = 0; index < 150; index += 1) record(300);
      expect(serviceTime.of(work(10, 10))).toBeGreaterThan(270);
    });

    it('takes time that runs backwards for no time at all', () => {
      const serviceTime = new ServiceTime();
      serviceTime.record({ work: work(1, 1), firstTokenMs: -5, durationMs: -10 });
      expect(serviceTime.of(work(1, 1))).toBe(0);
    });
  });

  describe('the predicted wait', () => {
    const NOTHING = work(0, 0, 0);

    function experienced(): WaitPredictor {
      const serviceTime = new ServiceTime();
      // Estimates that are off by a factor: 1,000 tokens were asked for, 500 ms it took.
      for (let index = 0; index < 100; index += 1)
        serviceTime.record({ work: work(0, 1000), firstTokenMs: 0, durationMs: 500 });
      return new WaitPredictor(serviceTime);
    }

    it('is the work ahead over the slots', () => {
      const ahead = { work: work(0, 10_000, 10), canBeOvertaken: false };
      expect(experienced().waitMs(ahead, { running: NOTHING, slots: 2 })).toBeCloseTo(2500, 0);
    });

    it('of whoever is next is until one of those that run ends', () => {
      const ahead = { work: NOTHING, canBeOvertaken: false };
      expect(experienced().waitMs(ahead, { running: work(0, 4000, 4), slots: 4 })).toBeCloseTo(62.5, 0);
    });

    it('is corrected by what came of earlier ones, for those that can be overtaken, within reason', () => {
      const predictor = experienced();
      const wait = (canBeOvertaken: boolean) =>
        predictor.waitMs({ work: work(0, 1000), canBeOvertaken }, { running: NOTHING, slots: 1 });
      for (let index = 0; index < 60; index += 1) predictor.learn({ predictedMs: 100, waitedMs: 150 });
      expect(wait(true)).toBeCloseTo(750, 0);
      expect(wait(false)).toBeCloseTo(500, 0);
      for (let index = 0; index < 400; index += 1) predictor.learn({ predictedMs: 1, waitedMs: 1_000_000 });
      expect(wait(true)).toBeCloseTo(1500, 0);
    });
  });

  /** A backend of `slots`, each request taking what its tokens say, arrivals at random; every prediction against what came of it. */
  function simulate(options: {
    readonly clients: number;
    readonly slots: number;
    readonly load: number;
    readonly saysMaxTokens: boolean;
  }): { medianError: number; predictions: number } {
    const { clients, slots, load } = options;
    const random = mulberry32(7);
    const scheduler = new Scheduler({ ...SCHEDULER, maxBatchSize: 64, maxQueue: 40 * slots });
    scheduler.setTarget({ id: 't', model: 'm', slots, state: 'ready' }, 0);
    const answerOf = () => (random() < 0.8 ? 16 : 256);
    const serviceMsOf = (tokens: number) => 40 + 20 * tokens;
    const meanMs = 0.8 * serviceMsOf(16) + 0.2 * serviceMsOf(256);
    const errors: number[] = [];
    const predicted = new Map<string, { at: number; etaMs: number }>();
    const answers = new Map<string, number>();
    const ends: { at: number; id: string; settlement: Settlement }[] = [];
    let nextArrival = 0;
    let arrivals = 0;
    const tick = (now: number) => {
      for (const decision of scheduler.tick(now)) {
        if (decision.type === 'reject') predicted.delete(decision.id);
        else
          for (const { id } of decision.batch.members) {
            const answerTokens = answers.get(id) ?? 0;
            const settlement = {
              outcome: 'completed',
              promptTokens: 20,
              answerTokens,
              firstTokenMs: 40,
            } as const;
            ends.push({ at: now + serviceMsOf(answerTokens), id, settlement });
            const told = predicted.get(id);
            if (told) errors.push(Math.abs(told.etaMs - (now - told.at)) / Math.max(1, now - told.at));
          }
      }
    };
    while (arrivals < 6000) {
      ends.sort((a, b) => a.at - b.at);
      const end = ends[0];
      const now = Math.min(nextArrival, end?.at ?? Number.POSITIVE_INFINITY);
      if (end && end.at === now) {
        ends.shift();
        scheduler.release(end.id, end.settlement, now);
        tick(now);
        continue;
      }
      const id = `r${++arrivals}`;
      const answerTokens = answerOf();
      answers.set(id, answerTokens);
      const says = options.saysMaxTokens
        ? { maxTokens: answerTokens }
        : { maxTokens: 256, maxTokensIsDefault: true };
      scheduler.enqueue(
        entry(id, {
          client: `client${Math.floor(random() * clients)}`,
          promptTokens: 20,
          ...says,
          expiresAt: FAR,
        }),
        now,
      );
      tick(now);
      const place = scheduler.position(id);
      // After a warm-up, and only where the queue is what one waits for.
      if (place && arrivals > 500 && place.position > 2 * slots)
        predicted.set(id, { at: now, etaMs: place.etaMs });
      nextArrival = now + (-Math.log(1 - random()) * meanMs) / (slots * load);
    }
    errors.sort((a, b) => a - b);
    return { medianError: errors[errors.length >> 1] ?? Number.NaN, predictions: errors.length };
  }

  /** A small generator of random numbers that can be begun again. */
  function mulberry32(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  describe.each([
    { clients: 1, slots: 4, load: 1.1, saysMaxTokens: true },
    { clients: 1, slots: 4, load: 1.1, saysMaxTokens: false },
    { clients: 8, slots: 4, load: 1.1, saysMaxTokens: true },
    // Where nobody knows how long the answers become, neither does the prediction.
    { clients: 8, slots: 4, load: 1.1, saysMaxTokens: false, atMost: 0.35 },
    { clients: 32, slots: 8, load: 1.1, saysMaxTokens: true },
    { clients: 200, slots: 8, load: 1.2, saysMaxTokens: true },
    { clients: 200, slots: 8, load: 0.97, saysMaxTokens: true },
    { clients: 3, slots: 1, load: 0.97, saysMaxTokens: true },
  ])(
    'predicted waits, $clients clients on $slots slots at $load of capacity, max_tokens $saysMaxTokens',
    ({ atMost = 0.25, ...load }) => {
      it(`are off by ${100 * atMost} % at most, in the median`, () => {
        const { medianError, predictions } = simulate(load);
        expect(predictions).toBeGreaterThan(200);
        expect(medianError).toBeLessThanOrEqual(atMost);
      });
    },
  );
});

describe('the learned service time', () => {
  const work = { requests: 1, promptTokens: 100, answerTokens: 20 };

  it('learns of an answer that came whole what its prompt does not usually take', () => {
    const time = new ServiceTime();
    for (let turn = 0; turn < 20; turn += 1) time.record({ work, durationMs: 300, firstTokenMs: 100 });
    expect(time.of(work)).toBeCloseTo(300);
    for (let turn = 0; turn < 500; turn += 1) time.record({ work, durationMs: 500, firstTokenMs: undefined });
    expect(time.of(work)).toBeCloseTo(500, 0);
  });

  it('of answers that all came whole it is the whole time, whatever the prompt was', () => {
    const time = new ServiceTime();
    for (let turn = 0; turn < 10; turn += 1) time.record({ work, durationMs: 400, firstTokenMs: undefined });
    expect(time.isTrusted).toBe(true);
    expect(time.of(work)).toBeCloseTo(400);
  });
});

describe('what limits reserve for an answer without a bound of its own', () => {
  const ANY = { maxTokens: undefined, maxTokensIsDefault: false };
  const LONG = { maxTokens: 100_000, maxTokensIsDefault: false };

  function served() {
    const scheduler = new Scheduler(SCHEDULER);
    scheduler.setTarget({ id: 't', model: 'm', slots: 1, state: 'ready' }, 0);
    let served = 0;
    const answer = (bound: typeof ANY | typeof LONG, answerTokens: number, how: Partial<Settlement> = {}) => {
      const id = `r${++served}`;
      scheduler.enqueue(entry(id, { ...bound, expiresAt: FAR }), served);
      scheduler.tick(served);
      const settlement = { outcome: 'completed', promptTokens: 1, answerTokens, firstTokenMs: 1 } as const;
      scheduler.release(id, { ...settlement, ...how }, served);
    };
    const reserved = (bound: Parameters<Scheduler['reservedAnswerTokens']>[1] = ANY) =>
      scheduler.reservedAnswerTokens('m', bound);
    return { scheduler, answer, reserved };
  }

  it('is as much as nine of ten answers of late had at most', () => {
    const { answer, reserved } = served();
    expect(reserved()).toBe(256);
    for (let index = 1; index <= 100; index += 1) answer(ANY, 100 * index);
    expect(reserved()).toBe(9000);
    for (let index = 0; index < 50; index += 1) answer(ANY, 300);
    expect(reserved()).toBe(9000);
    for (let index = 0; index < 50; index += 1) answer(ANY, 300);
    expect(reserved()).toBe(300);
  });

  it('is not lowered by answers that their clients cut off, and never below what is assumed without any', () => {
    const { answer, reserved } = served();
    for (let index = 0; index < 20; index += 1) answer(ANY, 3000);
    for (let index = 0; index < 200; index += 1) {
      answer({ maxTokens: 1, maxTokensIsDefault: false }, 1, { isCut: true });
      answer(ANY, 2, { outcome: 'cancelled' });
    }
    expect(reserved()).toBe(3000);
    // One that was cut off would have been at least as long.
    for (let index = 0; index < 100; index += 1) answer(LONG, 4000, { isCut: true });
    expect(reserved()).toBe(4000);
    for (let index = 0; index < 100; index += 1) answer(LONG, 1);
    expect(reserved()).toBe(256);
  });

  it('is no more than the default of the server, at least what the client asks for, and the bound of one that has set it', () => {
    const { answer, reserved } = served();
    for (let index = 0; index < 20; index += 1) answer(ANY, 3000);
    expect(reserved({ maxTokens: 50, maxTokensIsDefault: true })).toBe(50);
    expect(reserved({ ...ANY, minTokens: 5000 })).toBe(5000);
    expect(reserved({ maxTokens: 7, maxTokensIsDefault: false, minTokens: 7 })).toBe(7);
    expect(reserved(LONG)).toBe(100_000);
  });

  it('lets shares go by the mean, which answers that were cut off do not lower either', () => {
    const { scheduler, answer } = served();
    for (let index = 0; index < 20; index += 1) answer(ANY, 3000);
    for (let index = 0; index < 200; index += 1)
      answer({ maxTokens: 1, maxTokensIsDefault: false }, 1, { isCut: true });
    scheduler.enqueue(entry('next', { ...ANY, promptTokens: 1, expiresAt: FAR }), 1000);
    scheduler.tick(1000);
    expect(scheduler.usedOf({ id: 't', model: 'm' }).tokens).toBe(3001);
  });
});
