import { describe, expect, it } from 'vitest';
import { AdaptiveSlots } from '../../../src/scheduling/adaptive-slots.ts';
import { type ServiceCurve, SimulatedServer } from '../../support/simulated-server.ts';

const MAX_SLOTS = 256;
const MEAN_TOKENS = 150;

const CURVES = {
  // Each step of the batch takes longer the more run, but by less than they bring.
  memoryBound: { throughput: (running) => (1000 * running) / (20 + 0.15 * running), maxRunning: 256 },
  // More than its 32 wait in its own queue.
  hardKnee: { throughput: (running) => 40 * Math.min(running, 32), maxRunning: 32 },
  // More than 60 throw out what others have computed.
  preemption: {
    throughput: (running) =>
      running <= 60 ? (1000 * running) / (20 + 0.1 * running) : (60_000 / 26) * (60 / running) ** 1.5,
    maxRunning: 256,
    kvCacheUsed: (running) => Math.min(1, running / 60),
  },
} as const satisfies Record<string, ServiceCurve>;

interface Simulation {
  readonly curveAt: (second: number) => ServiceCurve;
  readonly reports: boolean;
  readonly seconds: number;
  /** When counting begins. */
  readonly from: number;
  readonly seed: number;
}

/** More requests than slots wait with us all the time; answers of 150 tokens in the mean, of very different lengths. */
function simulate({ curveAt, reports, seconds, from, seed }: Simulation) {
  const random = randomOf(seed);
  const server = new SimulatedServer(curveAt(0));
  const adaptive = new AdaptiveSlots({ max: MAX_SLOTS, now: 0 });
  const started = new Map<number, { readonly startedAt: number; readonly busyAtStart: number }>();
  const slots: number[] = [];
  const windows: number[] = [];
  let [ids, counted, waiting, inWindow] = [0, 0, 0, 0];
  const fill = () => {
    while (started.size < adaptive.slots) {
      adaptive.hold(started.size + 1, server.now);
      started.set(ids, { startedAt: server.now, busyAtStart: adaptive.busy(server.now) });
      server.send(ids, Math.max(1, Math.round(-Math.log(1 - random()) * MEAN_TOKENS)));
      ids += 1;
    }
  };
  fill();
  for (let second = 1; second <= seconds; ) {
    const to = Math.min(server.nextEnd, second * 1000);
    for (const { id, tokens, firstTokenMs } of server.advance(to)) {
      const run = started.get(id);
      started.delete(id);
      adaptive.hold(started.size, server.now);
      if (run) adaptive.ended({ ...run, tokens, firstTokenMs }, server.now);
      inWindow += tokens;
      if (second > from) counted += tokens;
    }
    if (to === second * 1000) {
      if (reports) adaptive.reported(server.load, server.now);
      if (second > from) waiting += server.load.waiting ?? 0;
      if (second % 20 === 0) {
        windows.push(inWindow / 20);
        slots.push(adaptive.slots);
        inWindow = 0;
      }
      second += 1;
      server.curve = curveAt(second);
    }
    fill();
  }
  return { throughput: counted / (seconds - from), waiting: waiting / (seconds - from), slots, windows };
}

function bestOf({ throughput, maxRunning }: ServiceCurve): number {
  const numbers = Array.from({ length: MAX_SLOTS }, (_, index) => index + 1);
  return Math.max(...numbers.map((slots) => throughput(Math.min(slots, maxRunning))));
}

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}

describe('adaptive slots', () => {
  const cases = Object.entries(CURVES).flatMap(([name, curve]) =>
    [true, false].flatMap((reports) => [1, 2, 3].map((seed) => ({ name, curve, reports, seed }))),
  );

  it.each(cases)(
    'are within a tenth of the best fixed number: $name, reports $reports, seed $seed',
    ({ curve, reports, seed }) => {
      const found = simulate({ curveAt: () => curve, reports, seconds: 600, from: 60, seed });
      const best = bestOf(curve);
      expect(found.throughput / best).toBeGreaterThan(0.9);
      // Next to nothing waits at the server, and no trial halves what it does.
      expect(found.waiting).toBeLessThan(reports ? 2 : 4);
      expect(Math.min(...found.windows.slice(3)) / best).toBeGreaterThan(0.5);
    },
  );

  it.each([
    { from: 16, to: 64, reports: true },
    { from: 16, to: 64, reports: false },
    { from: 64, to: 16, reports: true },
    { from: 64, to: 16, reports: false },
  ])('follow a server that changes: from $from to $to, reports $reports', ({ from, to, reports }) => {
    const knee = (at: number): ServiceCurve => ({
      throughput: (running) => 40 * Math.min(running, at),
      maxRunning: at,
    });
    const curveAt = (second: number) => knee(second < 300 ? from : to);
    const found = simulate({ curveAt, reports, seconds: 1200, from: 700, seed: 1 });
    expect(found.throughput / (40 * to)).toBeGreaterThan(0.9);
    expect(found.waiting).toBeLessThan(0.1 * to + 1);
  });

  it('stay as they are while not all of them are in use', () => {
    const adaptive = new AdaptiveSlots({ max: 64, now: 0 });
    for (let index = 0; index < 1000; index += 1) {
      const startedAt = index * 100;
      adaptive.hold(1, startedAt);
      const busyAtStart = adaptive.busy(startedAt);
      adaptive.ended({ startedAt, busyAtStart, tokens: 10, firstTokenMs: 5 }, startedAt + 100);
    }
    expect(adaptive.slots).toBe(new AdaptiveSlots({ max: 64, now: 0 }).slots);
  });

  it('are never more than the server runs at the same time, and at least one', () => {
    const adaptive = new AdaptiveSlots({ max: 4, now: 0 });
    expect(adaptive.slots).toBe(4);
    adaptive.hold(1, 0);
    for (let now = 0; now < 60_000; now += 1000) {
      adaptive.hold(Math.min(adaptive.slots, 1), now);
      adaptive.reported({ waiting: 50 }, now);
    }
    expect(adaptive.slots).toBe(1);
  });
});
