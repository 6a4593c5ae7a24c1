/** A whole run: asks what answers, warms it up, learns how it counts tokens, and puts each load on it. */
import type { Clock } from '../core/clock.ts';
import { BenchClient, type ClientOptions } from './client.ts';
import { ClientLoadMeter } from './client-load.ts';
import type { DatasetEntry } from './dataset.ts';
import { type HttpClient, httpClient } from './http.ts';
import { countTokens, InspectionError, inspectServer, type ServerFacts } from './inspect-server.ts';
import { measureStep, type StepMeasures } from './measures.ts';
import { planRequests, type Step, type Workload } from './plan.ts';
import { type Calibration, calibrate, randomText, UNCALIBRATED } from './prompts.ts';
import { PROTOCOLS } from './protocols.ts';
import { RandomSource, seedFor } from './random.ts';
import type { RequestRecord } from './record.ts';
import { runStep } from './run-step.ts';
import type { BenchSettings } from './settings.ts';

/** What stops a run before it measures anything: a message for people. */
export class BenchError extends Error {}

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
  readonly wasInterrupted: boolean;
}

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

const MAX_IN_FLIGHT = 4096;
/** Words of the two prompts by which it is learnt how the server counts. */
const PROBE_WORDS = { short: 16, long: 80 };
const PROBE_TOKENS = 8;
/** Statuses after which every further request would fail the same way. */
const HOPELESS = /^http_4(?!29|08)/;
const UNREACHABLE: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'],
  ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...[
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'CERT_HAS_EXPIRED',
    'EPROTO',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'timeout',
  ],
]);

export async function runBench(options: BenchOptions): Promise<BenchRun> {
  const { address, settings, signal } = options;
  const http = httpClient(address, { insecure: settings.insecure });
  // Keeps the process alive, which the clock's timers do not.
  const alive = setInterval(() => {}, 60_000);
  try {
    const server = await inspect(http, options);
    const model = settings.model ?? server.models[0];
    if (model === undefined)
      throw new BenchError(`${address} (${server.name}) lists no model. Name one with --model.`);
    options.onServer(server, model);
    requireThinking(server, settings);
    const learnt = await warmUp(http, server, model, options);
    const steps: MeasuredStep[] = [];
    for (const [index, step] of settings.steps.entries()) {
      if (signal.aborted) break;
      const measured = await measure(step, index, learnt, options);
      steps.push(measured);
      options.onStep(measured.measures);
    }
    return {
      ...{ address, server, model, settings, datasetName: options.dataset?.name },
      ...{ notes: learnt.notes, steps, wasInterrupted: signal.aborted },
    };
  } finally {
    clearInterval(alive);
    http.close();
  }
}

async function inspect(http: HttpClient, { address, key, settings }: BenchOptions): Promise<ServerFacts> {
  const { protocol, model } = settings;
  try {
    const facts = await inspectServer(http, key);
    return protocol === 'auto' ? facts : { ...facts, protocol };
  } catch (error) {
    if (!(error instanceof InspectionError)) throw unreachable(address, codeOf(error));
    if (protocol !== 'auto' && model !== undefined) return { name: 'a server', protocol, models: [] };
    throw new BenchError(`${address} cannot be measured: ${error.message}`);
  }
}

function requireThinking({ protocol }: ServerFacts, { think }: BenchSettings): void {
  if (think !== undefined && PROTOCOLS[protocol].think(think) === undefined)
    throw new BenchError(
      `The ${protocol} protocol has no field for --think ${think}. Give the server’s own with --body.`,
    );
}

function unreachable(address: string, code: string): BenchError {
  const isHere = /^https?:\/\/(localhost|127\.|\[::1\])/.test(address);
  const hint = /CERT|VERIFY/.test(code)
    ? ' Its certificate is not trusted: set NODE_EXTRA_CA_CERTS, or use --insecure.'
    : isHere && code === 'ECONNREFUSED'
      ? ' Start a server with "llm-serve serve" ("npm start" in a clone), or name another.'
      : '';
  return new BenchError(`No server answers at ${address} (${code}).${hint}`);
}

function codeOf(error: unknown): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError' || code === 'ABORTED') return 'timeout';
  return code ?? message;
}

interface Learnt {
  readonly client: BenchClient;
  readonly calibration: Calibration;
  readonly notes: string[];
}

/** Nothing of it counts. The first two requests show how the server counts tokens, and which of the optional fields it takes. */
async function warmUp(
  http: HttpClient,
  server: ServerFacts,
  model: string,
  { address, key, settings, dataset, clock, signal }: BenchOptions,
): Promise<Learnt> {
  const notes: string[] = [];
  const random = new RandomSource(seedFor(settings.seed, 0, 4));
  const protocol = PROTOCOLS[server.protocol];
  const shared: Omit<ClientOptions, 'ignoreEos' | 'wantsUsage'> = {
    ...{
      http,
      protocol,
      model,
      key,
      headers: settings.headers,
      extraBody: { ...(settings.think && protocol.think(settings.think)), ...settings.extraBody },
    },
    timeoutMs: settings.timeoutMs,
    now: () => clock.now(),
  };
  const probe = async (client: BenchClient, words: number) => {
    const messages = [{ role: 'user', content: randomText(words, random) }];
    const request = {
      index: 0,
      dueAt: undefined,
      messages,
      promptTokens: undefined,
      outputTokens: PROBE_TOKENS,
    };
    return client.send(request, { stepBeganAt: clock.now(), signal });
  };
  const ignoresEos = settings.ignoreEos && protocol.canIgnoreEos;
  const attempts = [
    { ignoreEos: ignoresEos, wantsUsage: true },
    { ignoreEos: false, wantsUsage: true },
    { ignoreEos: false, wantsUsage: false },
  ].slice(ignoresEos ? 0 : 1);
  let [accepted] = attempts;
  let client = new BenchClient({ ...shared, ignoreEos: ignoresEos, wantsUsage: true });
  let first: RequestRecord | undefined;
  for (const attempt of attempts) {
    accepted = attempt;
    client = new BenchClient({ ...shared, ...attempt });
    first = await probe(client, PROBE_WORDS.short);
    if (first.error !== 'http_400' && first.error !== 'http_422') break;
  }
  if (first?.error !== undefined && !signal.aborted) {
    const said = client.lastErrorText === undefined ? '' : `: ${client.lastErrorText.slice(0, 500)}`;
    if (UNREACHABLE.has(first.error))
      throw new BenchError(`The first request got no answer (${first.error}).`);
    if (HOPELESS.test(first.error))
      throw new BenchError(`${address} refused the first request (${first.error})${said}`);
    notes.push(`The first request failed (${first.error})${said}`);
  }
  if (ignoresEos && accepted?.ignoreEos === false)
    notes.push('The server does not take ignore_eos: answers end where the model ends them.');
  if (!protocol.canIgnoreEos && settings.ignoreEos)
    notes.push(`The ${server.protocol} protocol has no ignore_eos: answers end where the model ends them.`);
  if (accepted?.wantsUsage === false)
    notes.push('The server does not take stream_options: tokens of answers are counted as arrivals of text.');
  const second = first?.error === undefined ? await probe(client, PROBE_WORDS.long) : undefined;
  const calibration = await learnCounting(http, first, second, { model, key, random });
  if (dataset === undefined && !calibration.isMeasured)
    notes.push(
      'The server counts no prompt tokens and has no tokenizer to ask: a word is taken for a token, so prompt lengths are approximate.',
    );
  if (dataset?.entries.some(({ outputTokens }) => outputTokens === undefined))
    notes.push('Lengths of recorded answers are estimated as 4 characters a token.');
  if (first?.error === undefined)
    await Promise.all(Array.from({ length: settings.warmup }, () => probe(client, PROBE_WORDS.long)));
  return { client, calibration, notes };
}

async function learnCounting(
  http: HttpClient,
  short: RequestRecord | undefined,
  long: RequestRecord | undefined,
  {
    model,
    key,
    random,
  }: { readonly model: string; readonly key: string | undefined; readonly random: RandomSource },
): Promise<Calibration> {
  if (short?.promptTokens !== undefined && long?.promptTokens !== undefined)
    return calibrate(
      { words: PROBE_WORDS.short, tokens: short.promptTokens },
      { words: PROBE_WORDS.long, tokens: long.promptTokens },
    );
  const counts = await Promise.all(
    [PROBE_WORDS.short, PROBE_WORDS.long].map(async (words) => ({
      words,
      tokens: await countTokens(http, randomText(words, random), { model, key }),
    })),
  );
  const [few, many] = counts;
  if (few?.tokens === undefined || many?.tokens === undefined) return UNCALIBRATED;
  return calibrate({ words: few.words, tokens: few.tokens }, { words: many.words, tokens: many.tokens });
}

async function measure(
  step: Step,
  index: number,
  { client, calibration }: Learnt,
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
  const meter = new ClientLoadMeter();
  const reporting = setInterval(report, 100);
  await runStep(step, planRequests(step, index, workload, calibration), {
    ...{ clock, signal, limits: { requests, durationMs, maxInFlight: MAX_IN_FLIGHT } },
    send: (request, stepBeganAt) => client.send(request, { stepBeganAt, signal, onToken }),
    onRecord: (record) => records.push(record),
  });
  clearInterval(reporting);
  report();
  records.sort((one, other) => one.index - other.index);
  return {
    records,
    measures: measureStep(step, records, { objectives: settings.objectives, client: meter.end() }),
  };
}
