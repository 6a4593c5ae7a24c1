/** A whole run: asks what answers, warms it up, and puts each load on it in turn. */
import type { Clock } from '../core/clock.ts';
import { ClientLoadMeter } from './client-load.ts';
import type { DatasetEntry } from './dataset.ts';
import { httpClient } from './http.ts';
import { InspectionError, inspectServer, type ServerAccess, type ServerFacts } from './inspect-server.ts';
import { LostServerWatch } from './lost-server.ts';
import { measureStep, type StepMeasures } from './measures.ts';
import { planRequests, type Step, type Workload } from './plan.ts';
import type { RequestRecord } from './record.ts';
import { runStep } from './run-step.ts';
import type { BenchSettings } from './settings.ts';
import { BenchError, type WarmedUp, warmUp } from './warm-up.ts';

export interface BenchRun {
  readonly address: string;
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

export interface BenchOptions {
  /** Without a slash at its end, and without /v1. */
  readonly address: string;
  readonly key: string | undefined;
  readonly settings: BenchSettings;
  readonly dataset: { readonly name: string; readonly entries: readonly DatasetEntry[] } | undefined;
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
  /** The user has seen enough. */
  readonly signal: AbortSignal;
  onServer(server: ServerFacts, model: string): void;
  onProgress(progress: Progress): void;
  onStep(measures: StepMeasures): void;
}

/** The user ended the run before its first load. */
export class InterruptedError extends Error {}

/** Nothing answers at the address. */
export class UnreachableError extends Error {
  /** Of the connection, or `timeout`. */
  readonly code: string;

  constructor(address: string, code: string) {
    super(`No server answers at ${address} (${code}).`);
    this.code = code;
  }
}

const MAX_IN_FLIGHT = 4096;
const PROGRESS_EVERY_MS = 100;

export async function runBench(options: BenchOptions): Promise<BenchRun> {
  const { address, key, settings, dataset, signal } = options;
  const http = httpClient(address, { insecure: settings.insecure });
  const access: ServerAccess = { http, key, headers: settings.headers, signal };
  // Keeps the process alive, which the clock's timers do not.
  const alive = setInterval(() => {}, 60_000);
  try {
    const { server, model, warm } = await prepare(access, options);
    const steps: MeasuredStep[] = [];
    const lost = new LostServerWatch();
    for (const [index, step] of settings.steps.entries()) {
      if (signal.aborted || lost.isLost) break;
      const measured = await measure(step, index, warm, lost, options);
      steps.push(measured);
      options.onStep(measured.measures);
    }
    return {
      ...{ address, server, model, settings, datasetName: dataset?.name, notes: warm.notes, steps },
      end: signal.aborted ? 'interrupted' : lost.isLost ? 'server lost' : 'complete',
    };
  } finally {
    clearInterval(alive);
    http.close();
  }
}

/** Finds out what answers, and warms it up. */
async function prepare(
  access: ServerAccess,
  options: BenchOptions,
): Promise<{ readonly server: ServerFacts; readonly model: string; readonly warm: WarmedUp }> {
  const { address, settings, dataset, clock, signal } = options;
  try {
    const server = await inspect(access, options);
    const model = settings.model ?? server.models[0];
    if (model === undefined)
      throw new BenchError(`${address} (${server.name}) lists no model. Name one with --model.`);
    options.onServer(server, model);
    const hasEstimatedLengths =
      settings.hasDatasetLengths &&
      dataset?.entries.some(({ outputTokens }) => outputTokens === undefined) === true;
    const warm = await warmUp({
      ...{ access, server, model, address, settings, clock, hasEstimatedLengths },
      hasDataset: dataset !== undefined,
    });
    if (!signal.aborted) return { server, model, warm };
  } catch (error) {
    // What is broken off fails in one way or another.
    if (!signal.aborted) throw error;
  }
  throw new InterruptedError('Interrupted before anything was measured.');
}

async function inspect(access: ServerAccess, { address, settings }: BenchOptions): Promise<ServerFacts> {
  const { protocol, model } = settings;
  try {
    const facts = await inspectServer(access);
    return protocol === 'auto' ? facts : { ...facts, protocol };
  } catch (error) {
    if (!(error instanceof InspectionError)) throw new UnreachableError(address, codeOf(error));
    if (protocol !== 'auto' && model !== undefined)
      return { name: 'a server', kind: 'other', protocol, models: [] };
    throw new BenchError(`${address} cannot be measured: ${error.message}`);
  }
}

function codeOf(error: unknown): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || code === 'ABORTED') return 'timeout';
  return code ?? message;
}

async function measure(
  step: Step,
  index: number,
  { client, calibration }: WarmedUp,
  lost: LostServerWatch,
  { settings, dataset, clock, signal, onProgress }: BenchOptions,
): Promise<MeasuredStep> {
  const workload: Workload = { ...settings, dataset: dataset?.entries };
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
      send: (request, stepBeganAt) => client.send(request, { stepBeganAt, signal, onToken }),
      onRecord: (record) => {
        records.push(record);
        lost.note(record);
        if (lost.isLost) ending.abort();
      },
    });
    report();
  } finally {
    clearInterval(reporting);
    meter.stop();
  }
  records.sort((one, other) => one.index - other.index);
  return {
    records,
    measures: measureStep(step, records, { objectives: settings.objectives, client: meter.load() }),
  };
}
