/** The options of a run as they are written, checked and turned into settings. */
import { type LengthSpec, parseLength } from './lengths.ts';
import { DEFAULT_OBJECTIVES, type Objectives, parseObjectives } from './objectives.ts';
import type { Step } from './plan.ts';
import { PROTOCOL_NAMES, type ProtocolName, THINK_LEVELS, type ThinkLevel } from './protocols.ts';
import { oneOf, optional, positiveNumber, UsageError, wholeNumber } from './read-option.ts';

/** As written on the command line; undefined where not given. */
export interface BenchFlags {
  readonly protocol?: string | undefined;
  readonly model?: string | undefined;
  readonly concurrency?: string | undefined;
  readonly rate?: string | undefined;
  readonly burstiness?: string | undefined;
  readonly requests?: string | undefined;
  readonly duration?: string | undefined;
  /** A file. */
  readonly dataset?: string | undefined;
  readonly promptTokens?: string | undefined;
  readonly outputTokens?: string | undefined;
  readonly prefixTokens?: string | undefined;
  readonly prefixShare?: string | undefined;
  readonly seed?: string | undefined;
  readonly warmup?: string | undefined;
  readonly timeout?: string | undefined;
  readonly slo?: string | undefined;
  readonly think?: string | undefined;
  readonly body?: string | undefined;
  /** `name: value` */
  readonly header?: readonly string[] | undefined;
  /** False: answers may end before the length that is asked for. */
  readonly ignoreEos?: boolean | undefined;
  readonly insecure?: boolean | undefined;
}

export interface BenchSettings {
  readonly protocol: ProtocolName | 'auto';
  readonly model: string | undefined;
  readonly steps: readonly Step[];
  /** Requests of a step. */
  requestsOf(step: Step): number;
  readonly durationMs: number;
  readonly promptTokens: LengthSpec;
  readonly outputTokens: LengthSpec;
  readonly hasDatasetLengths: boolean;
  readonly prefixTokens: number;
  readonly prefixShare: number;
  readonly seed: number;
  readonly warmup: number;
  readonly timeoutMs: number;
  readonly objectives: Objectives;
  readonly areObjectivesGiven: boolean;
  readonly think: ThinkLevel | undefined;
  readonly extraBody: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly ignoreEos: boolean;
  readonly insecure: boolean;
}

/** Users of each server. */
const DEFAULT_SWEEP = [1, 2, 4, 8] as const;
const MAX_CONCURRENCY = 4096;
const MAX_RATE = 10_000;
const MAX_REQUESTS = 1_000_000;
const MAX_SECONDS = 86_400;
/** Of a step whose number of requests is not given. */
const REQUESTS_PER_USER = 5;
const MIN_REQUESTS = 10;
const ARRIVAL_SECONDS = 30;
const MIN_WARMUP = 4;
const MAX_WARMUP = 64;

/** `servers`: so many share each load. */
export function readSettings(flags: BenchFlags, servers = 1): BenchSettings {
  requireSynthetic(flags);
  const steps = readSteps(flags, servers);
  const requests = optional(flags.requests, (text) => wholeNumber(text, '--requests', 1, MAX_REQUESTS));
  const seconds = optional(flags.duration, (text) =>
    positiveNumber(text.replace(/s$/, ''), '--duration', MAX_SECONDS),
  );
  return {
    protocol: oneOf(flags.protocol ?? 'auto', '--protocol', ['auto', ...PROTOCOL_NAMES]),
    model: flags.model,
    steps,
    requestsOf: (step) => requests ?? (seconds === undefined ? defaultRequests(step) : MAX_REQUESTS),
    durationMs: seconds === undefined ? Number.POSITIVE_INFINITY : seconds * 1000,
    promptTokens: parseLength(flags.promptTokens ?? '128', '--prompt-tokens'),
    outputTokens: parseLength(flags.outputTokens ?? '64', '--output-tokens'),
    hasDatasetLengths: flags.dataset !== undefined && flags.outputTokens === undefined,
    prefixTokens: wholeNumber(flags.prefixTokens ?? '0', '--prefix-tokens', 0, 1_000_000),
    prefixShare: readShare(flags),
    seed: wholeNumber(flags.seed ?? '1', '--seed', 0, 2 ** 32 - 1),
    warmup:
      optional(flags.warmup, (text) => wholeNumber(text, '--warmup', 0, 10_000)) ?? defaultWarmup(steps),
    timeoutMs: positiveNumber(flags.timeout?.replace(/s$/, '') ?? '60', '--timeout', MAX_SECONDS) * 1000,
    objectives: optional(flags.slo, parseObjectives) ?? DEFAULT_OBJECTIVES,
    areObjectivesGiven: flags.slo !== undefined,
    think: optional(flags.think, (text) => oneOf(text, '--think', THINK_LEVELS)),
    extraBody: readBody(flags.body),
    headers: Object.fromEntries((flags.header ?? []).map(readHeader)),
    ignoreEos: flags.ignoreEos ?? true,
    insecure: flags.insecure ?? false,
  };
}

function readSteps({ concurrency, rate, burstiness }: BenchFlags, servers: number): readonly Step[] {
  if (concurrency !== undefined && rate !== undefined)
    throw new UsageError(
      '--concurrency (closed loop) and --rate (open loop) exclude each other. Run bench twice.',
    );
  if (rate !== undefined) {
    const shape = positiveNumber(burstiness ?? '1', '--burstiness', 1000);
    return rate.split(',').map((text) => ({
      kind: 'open',
      rate: positiveNumber(text.trim(), '--rate', MAX_RATE),
      burstiness: shape,
    }));
  }
  if (burstiness !== undefined) throw new UsageError('--burstiness needs --rate: it shapes arrivals.');
  if (concurrency === undefined)
    return DEFAULT_SWEEP.map((users) => ({ kind: 'closed', concurrency: users * servers }));
  return concurrency.split(',').map((text) => ({
    kind: 'closed',
    concurrency: wholeNumber(text.trim(), '--concurrency', 1, MAX_CONCURRENCY),
  }));
}

/** What shapes synthetic prompts says nothing of those of a file. */
function requireSynthetic({ dataset, promptTokens, prefixTokens }: BenchFlags): void {
  if (dataset === undefined) return;
  const given = { '--prompt-tokens': promptTokens, '--prefix-tokens': prefixTokens };
  for (const [option, value] of Object.entries(given))
    if (value !== undefined)
      throw new UsageError(`${option} and --dataset exclude each other: the prompts are those of the file.`);
}

function defaultRequests(step: Step): number {
  const wanted = step.kind === 'open' ? step.rate * ARRIVAL_SECONDS : step.concurrency * REQUESTS_PER_USER;
  return Math.max(MIN_REQUESTS, Math.ceil(wanted));
}

/** As many at once as the heaviest load has users, so that their connections are open and this program's code is compiled when it counts. */
function defaultWarmup(steps: readonly Step[]): number {
  const atOnce = steps.map((step) => (step.kind === 'open' ? Math.ceil(step.rate) : step.concurrency));
  return Math.min(MAX_WARMUP, Math.max(MIN_WARMUP, ...atOnce));
}

function readShare({ prefixTokens, prefixShare }: BenchFlags): number {
  if (prefixShare === undefined) return 1;
  if (prefixTokens === undefined) throw new UsageError('--prefix-share needs --prefix-tokens.');
  return positiveNumber(prefixShare, '--prefix-share', 1);
}

function readBody(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Refused below, as what is JSON but no object is.
  }
  throw new UsageError(
    `--body is ${text}; write a JSON object, such as '{"top_p":0.9}'. null removes a field.`,
  );
}

function readHeader(text: string): readonly [string, string] {
  const [, name, value] = /^([\w-]+):\s*(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new UsageError(`--header is "${text}"; write it as name: value.`);
  return [name.toLowerCase(), value];
}
