/**
 * The simulator of bench/simulate, and through it what the real scheduler owes under overload. bench/ is plain
 * JavaScript, so what is used of it is typed here.
 */
import { describe, expect, it } from 'vitest';

interface Job {
  readonly id: string;
  readonly client: string;
  readonly arrivalMs: number;
}
interface JobRecord {
  readonly job: Job;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number;
  readonly outcome: 'completed' | 'refused' | 'expired' | 'failed' | 'aborted';
}
interface Simulated {
  readonly records: readonly JobRecord[];
  readonly left: Readonly<Record<string, number>>;
}
type CreateContestant = (backend: unknown) => unknown;
type Contestant = 'ours' | 'fifo' | 'barrier' | 'unlimited';
type Load = { readonly requests: number; readonly tokens: number; readonly wasted: number };
type Overload = Record<string, Record<Contestant, Record<number, Load>>>;
type Flood = Record<Contestant, { readonly light: { readonly p99Ms: number; readonly completed: number } }>;
type Fairness = Record<Contestant, Record<string, { readonly jain: number }>>;
type Conversations = Record<string, Record<number, { readonly evaluated: number; readonly jain: number }>>;
type Measure<Figures> = (of: {
  seed: number;
  measuredMinutes: number;
  loads?: number[];
  mixes?: string[];
}) => Figures;

const bench = (path: string) => import(new URL(`../../../bench/${path}`, import.meta.url).href);
const { simulate }: { simulate: (of: object) => Simulated } = await bench('simulate/simulation.mjs');
const { CONTESTANTS }: { CONTESTANTS: Record<Contestant, { create: CreateContestant }> } = await bench(
  'simulate/contestants/catalog.mjs',
);
const { BACKEND, capacity } = await bench('simulate/service.mjs');
const { BIMODAL, equalClients, poissonJobs } = await bench('simulate/jobs.mjs');
const overload: { measure: Measure<Overload>; shareOfPeak: (byLoad: object, figure: string) => number } =
  await bench('simulate/scenarios/overload.mjs');
const flood: { measure: Measure<Flood>; LIGHT_BOUND_MS: number } = await bench(
  'simulate/scenarios/flood.mjs',
);
const fairness: { measure: Measure<Fairness>; JAIN_TARGET: number } = await bench(
  'simulate/scenarios/fairness.mjs',
);
const conversations: { measure: Measure<Conversations> } = await bench(
  'simulate/scenarios/conversations.mjs',
);
const NAMES = Object.keys(CONTESTANTS) as Contestant[];

function jobsAt(load: number, seed = 1): Job[] {
  const { requestsPerSecond } = capacity(BACKEND, BIMODAL);
  const client = { mix: BIMODAL, deadlineMs: 10_000, abortShare: 0.3 };
  const clients = equalClients(4, { ...client, requestsPerSecond: (load * requestsPerSecond) / 4 });
  return poissonJobs({ clients, seed, durationMs: 300_000 });
}

function simulateJobs(name: Contestant, jobs: readonly Job[]): Simulated {
  return simulate({ backend: BACKEND, createContestant: CONTESTANTS[name].create, jobs });
}

describe.each(NAMES)('%s, simulated', (name) => {
  it('gives the same result for the same seed, and another for another', () => {
    const first = simulateJobs(name, jobsAt(1.5));
    expect(simulateJobs(name, jobsAt(1.5))).toEqual(first);
    expect(simulateJobs(name, jobsAt(1.5, 2))).not.toEqual(first);
  });

  it('ends every request exactly once and leaves nothing behind, with aborts under overload', () => {
    const jobs = jobsAt(2);
    const { records, left } = simulateJobs(name, jobs);
    expect(records.map(({ job }) => job.id).sort()).toEqual(jobs.map(({ id }) => id).sort());
    expect(left).toEqual({ waiting: 0, running: 0, unanswered: 0, atBackend: 0 });
  });

  it('never starts one before it arrived, nor more than its slots at once', () => {
    const started = simulateJobs(name, jobsAt(2)).records.filter(
      ({ startedAtMs }) => startedAtMs !== undefined,
    );
    expect(started.every(({ job, startedAtMs }) => (startedAtMs ?? 0) >= job.arrivalMs)).toBe(true);
    if (name !== 'unlimited') expect(mostAtOnce(started)).toBe(BACKEND.slots);
  });

  // The barrier cannot even do that with long answers among short ones.
  it('completes nearly everything at half its capacity, answers alike', () => {
    const { alike } = overload.measure({ seed: 1, measuredMinutes: 5, loads: [0.5], mixes: ['alike'] });
    expect(alike?.[name][0.5]?.requests).toBeGreaterThan(0.45);
    expect(alike?.[name][0.5]?.wasted).toBeLessThan(0.01);
  });
});

it('the batch barrier waits for all of a batch before it starts the next', () => {
  const { records } = simulateJobs('barrier', jobsAt(1.5));
  const endOf = new Map<number, number>();
  for (const { startedAtMs, endedAtMs } of records)
    if (startedAtMs !== undefined) endOf.set(startedAtMs, Math.max(endedAtMs, endOf.get(startedAtMs) ?? 0));
  const batches = [...endOf].sort(([one], [other]) => one - other);
  expect(batches.length).toBeGreaterThan(20);
  for (const [index, [startedAtMs]] of batches.entries())
    expect(startedAtMs).toBeGreaterThanOrEqual(batches[index - 1]?.[1] ?? 0);
});

it('more than the slots slow each other down in proportion', () => {
  const job = (index: number) => ({
    id: `job_${index}`,
    client: 'client',
    arrivalMs: 0,
    promptTokens: 0,
    answerTokens: 51,
    deadlineMs: 60_000,
  });
  const backend = { slots: 2, firstTokenMs: 0, promptTokenMs: 0, tokenMs: 20 };
  const jobs = Array.from({ length: 6 }, (_, index) => job(index));
  const { records } = simulate({ backend, createContestant: CONTESTANTS.unlimited.create, jobs });
  for (const { endedAtMs } of records) expect(endedAtMs).toBeCloseTo(3000);
});

describe('the scheduler, simulated', () => {
  it.each(['bimodal', 'alike'])('keeps 90 % of its peak goodput at twice its capacity, answers %s', (mix) => {
    const figures = overload.measure({
      seed: 1,
      measuredMinutes: 5,
      loads: [0.75, 1, 1.25, 1.5, 2],
      mixes: [mix],
    });
    const byLoad = figures[mix]?.ours ?? {};
    expect(overload.shareOfPeak(byLoad, 'requests')).toBeGreaterThan(0.9);
    expect(overload.shareOfPeak(byLoad, 'tokens')).toBeGreaterThan(0.9);
    expect(byLoad[2]?.wasted).toBeLessThan(0.02);
  });

  it('lets a light client beside a flood wait for the longest service at most', () => {
    const { light } = flood.measure({ seed: 1, measuredMinutes: 10 }).ours;
    expect(light.p99Ms).toBeLessThan(flood.LIGHT_BOUND_MS);
    expect(light.completed).toBe(1);
  });

  it('shares the tokens evenly, whether clients say how long answers may be or not', () => {
    const { exact, unset } = fairness.measure({ seed: 1, measuredMinutes: 10 }).ours;
    expect(exact?.jain).toBeGreaterThan(fairness.JAIN_TARGET);
    expect(unset?.jain).toBeGreaterThan(fairness.JAIN_TARGET);
  });

  it('has less of the prompts evaluated again where one may overtake, and shares as evenly', () => {
    const figures = conversations.measure({ seed: 1, measuredMinutes: 10 });
    const [without, withOvertaking] = [figures.some?.[0], figures.some?.[4]];
    expect(without?.evaluated).toBeGreaterThan(0.75);
    expect(withOvertaking?.evaluated).toBeLessThan(0.65);
    expect(withOvertaking?.jain).toBeGreaterThan(fairness.JAIN_TARGET);
    // Whoever asks one question at a time has nothing waiting that could go on with a slot.
    expect(figures.single?.[4]).toEqual(figures.single?.[0]);
  });
});

function mostAtOnce(records: readonly JobRecord[]): number {
  const changes = records.flatMap(({ startedAtMs = 0, endedAtMs }) => [
    { at: startedAtMs, by: 1 },
    { at: endedAtMs, by: -1 },
  ]);
  // One that ends makes room for one that starts at the same moment.
  changes.sort((one, other) => one.at - other.at || one.by - other.by);
  let running = 0;
  return Math.max(...changes.map(({ by }) => (running += by)));
}
