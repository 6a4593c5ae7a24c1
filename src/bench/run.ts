/** A whole run: prepares the servers, and puts each load on them in turn. */
import type { Clock } from '../core/clock.ts';
import { ClientLoadMeter } from './client-load.ts';
import type { ServerFacts } from './inspect-server.ts';
import { LostServerWatch } from './lost-server.ts';
import { measureStep, type StepMeasures } from './measures.ts';
import { planRequests, type Step, stepText, type Workload } from './plan.ts';
import { type Prepared, type PrepareOptions, placesOf, prepare } from './prepare.ts';
import type { RequestRecord } from './record.ts';
import { runStep } from './run-step.ts';
import type { BenchSettings } from './settings.ts';

export interface BenchRun {
  readonly addresses: readonly string[];
  readonly server: ServerFacts;
  readonly model: string;
  readonly settings: BenchSettings;
  /** Where prompts came from a file. */
  readonly datasetName: string | undefined;
  /** What a reader of the figures must know. */
  readonly notes: readonly string[];
  readonly steps: readonly MeasuredStep[];
  readonly end: RunEnd;
}

/** Of the latter two, the last step is what was measured until then. */
export type RunEnd = 'complete' | 'interrupted' | 'server lost';

export interface MeasuredStep {
  readonly measures: StepMeasures;
  readonly records: readonly RequestRecord[];
  /** What each of several servers did of it; empty where there is one. */
  readonly servers: readonly ServerShare[];
}

export interface ServerShare {
  readonly address: string;
  readonly measures: StepMeasures;
}

export interface Progress {
  readonly step: Step;
  readonly ended: number;
  /** Infinite where a time is given instead. */
  readonly of: number;
  readonly tokens: number;
  readonly elapsedMs: number;
  readonly durationMs: number;
}

export interface BenchOptions extends PrepareOptions {
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
  onProgress(progress: Progress): void;
  onStep(measures: StepMeasures): void;
}

const MAX_IN_FLIGHT = 4096;
const PROGRESS_EVERY_MS = 100;

export async function runBench(options: BenchOptions): Promise<BenchRun> {
  const { addresses, settings, dataset, signal } = options;
  const places = placesOf(options);
  // Keeps the process alive, which the clock's timers do not.
  const alive = setInterval(() => {}, 60_000);
  try {
    const prepared = await prepare(places, options);
    const { server, model, notes } = prepared;
    const steps: MeasuredStep[] = [];
    const watches = prepared.servers.map(() => new LostServerWatch());
    const isLost = () => watches.some((watch) => watch.isLost);
    for (const [index, step] of settings.steps.entries()) {
      if (signal.aborted || isLost()) break;
      const measured = await measure(step, index, prepared, watches, options);
      steps.push(measured);
      options.onStep(measured.measures);
    }
    return {
      ...{ addresses, server, model, settings, datasetName: dataset?.name, steps },
      notes: [...notes, ...steps.flatMap(({ measures }) => dealingNotes(measures.step, options))],
      end: signal.aborted ? 'interrupted' : isLost() ? 'server lost' : 'complete',
    };
  } finally {
    clearInterval(alive);
    for (const { http } of places) http.close();
  }
}

async function measure(
  step: Step,
  index: number,
  { servers, calibration }: Prepared,
  watches: readonly LostServerWatch[],
  { settings, dataset, clock, signal, onProgress }: BenchOptions,
): Promise<MeasuredStep> {
  const workload: Workload = { ...settings, dataset: dataset?.entries };
  const shares = servers.map(({ address, client }, at) => ({
    ...{ address, client, watch: watches[at] },
    records: [] as RequestRecord[],
  }));
  const records: RequestRecord[] = [];
  const beganAt = clock.now();
  const { durationMs } = settings;
  const requests = settings.requestsOf(step);
  let tokens = 0;
  const onToken = () => {
    tokens += 1;
  };
  const report = () =>
    onProgress({
      ...{ step, ended: records.length, tokens, durationMs, elapsedMs: clock.now() - beganAt },
      of: durationMs === Number.POSITIVE_INFINITY ? requests : Number.POSITIVE_INFINITY,
    });
  // Requests under way are still waited for.
  const ending = new AbortController();
  const meter = new ClientLoadMeter();
  const reporting = setInterval(report, PROGRESS_EVERY_MS);
  try {
    await runStep(step, planRequests(step, index, workload, calibration), {
      ...{ clock, limits: { requests, durationMs, maxInFlight: MAX_IN_FLIGHT } },
      signal: AbortSignal.any([signal, ending.signal]),
      send: async (request, { stepBeganAt, turn }) => {
        const share = shares[turn % shares.length];
        if (share === undefined) throw new Error('there is no server');
        const record = await share.client.send(request, { stepBeganAt, signal, onToken });
        share.records.push(record);
        share.watch?.note(record);
        if (share.watch?.isLost === true) ending.abort();
        return record;
      },
      onRecord: (record) => records.push(record),
    });
    report();
  } finally {
    clearInterval(reporting);
    meter.stop();
  }
  const { objectives } = settings;
  return {
    records: inOrder(records),
    measures: measureStep(step, inOrder(records), { objectives, client: meter.load() }),
    servers:
      shares.length === 1
        ? []
        : shares.map((share) => ({
            address: share.address,
            measures: measureStep(step, inOrder(share.records), { objectives }),
          })),
  };
}

/** Each user stays with one server: what each of them did compares with the others only where they have the same number of users. */
function dealingNotes(
  step: Step,
  { addresses, settings }: Pick<BenchOptions, 'addresses' | 'settings'>,
): readonly string[] {
  if (step.kind === 'open') return [];
  const users = Math.min(step.concurrency, settings.requestsOf(step));
  const servers = addresses.length;
  if (users % servers === 0) return [];
  const idle = servers - users;
  const what =
    idle > 0
      ? `${idle} of ${servers} servers ${idle === 1 ? 'was' : 'were'} not asked, as each user stays with one`
      : 'not all servers have the same number of users';
  const advice =
    users === step.concurrency ? `Give --concurrency multiples of ${servers}.` : 'Give more --requests.';
  return [`${stepText(step)}: ${what}. ${advice}`];
}

/** As they were planned. */
function inOrder(records: readonly RequestRecord[]): readonly RequestRecord[] {
  return [...records].sort((one, other) => one.index - other.index);
}
