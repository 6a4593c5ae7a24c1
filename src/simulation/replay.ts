/**
 * Replays recorded requests through the scheduler, with other settings if wanted. Arrivals, lengths and clients are those of the record;
 * how long targets take is learnt from it. Not replayed: tries after a failure, prefixes that targets cache, other models in place of one
 * that failed; a request that was tried more than once holds one slot for as long as all its tries took.
 */
import type { Milliseconds } from '../core/clock.ts';
import { DEFAULT_PRIORITY } from '../core/priority.ts';
import type { RecordedRequest, RecordedSettings, RecordedTarget } from '../core/record-file.ts';
import type { SchedulerOptions, SchedulerTarget } from '../scheduling/decision.ts';
import { BATCH_POLICIES, type BatchMode, ORDER_POLICIES, type OrderMode } from '../scheduling/policies.ts';
import { ROUTING_POLICIES, type RoutingMode } from '../scheduling/routing.ts';
import { type Figures, figuresOf, type RequestOutcome, recordedOutcome } from './outcomes.ts';
import { randomSource } from './random.ts';
import { type QueuedJob, ScheduledQueue } from './scheduled-queue.ts';
import {
  firstTokenMs,
  fitService,
  Occupancy,
  type Occupation,
  type ServiceModel,
  type ServiceSample,
  tokenMs,
  UNKNOWN_SERVICE,
} from './service-model.ts';
import { type JobRecord, simulate } from './simulate.ts';
import { type JobService, type SimulatedJob, SimulatedTargets } from './simulated-targets.ts';

/** What is tried instead of what was recorded. */
export interface Changes {
  /** Of each target. */
  readonly slots?: number | undefined;
  /** Of each model, like its first. */
  readonly targets?: number | undefined;
  readonly order?: OrderMode | undefined;
  readonly mode?: BatchMode | undefined;
  readonly routing?: RoutingMode | undefined;
  readonly maxBatchSize?: number | undefined;
  readonly windowMs?: Milliseconds | undefined;
  readonly maxQueue?: number | undefined;
  readonly maxQueuePerClient?: number | undefined;
  readonly queueTimeoutMs?: Milliseconds | undefined;
  /** Requests arrive so many times as fast. */
  readonly load?: number | undefined;
}

interface ReplayedJob extends SimulatedJob {
  readonly queued: QueuedJob;
  /** Between the end of the answer at the target and its end for the client. */
  readonly afterMs: Milliseconds;
  /** Between its arrival and the queue. */
  readonly beforeMs: Milliseconds;
}

export interface Replay {
  readonly figures: Figures;
  /** The most that ran at one target at once. */
  readonly most: number;
}

/** A factor beyond it is not the request’s own: its clock, or a pause of the server, was. */
const MAX_FACTOR = 20;
const SEED = 1;

/** Made once for a record; each `replay` is one run of it. */
export class Replayer {
  readonly #settings: RecordedSettings;
  readonly #requests: readonly RecordedRequest[];
  /** By target. */
  readonly services: ReadonlyMap<string, ServiceModel>;
  readonly #occupancies: ReadonlyMap<string, Occupancy>;
  readonly #jobs: readonly ReplayedJob[];
  /** They are no part of what the scheduler decides. */
  readonly #outside: readonly RequestOutcome[];

  constructor(settings: RecordedSettings, requests: readonly RecordedRequest[]) {
    this.#settings = settings;
    const models = new Set(settings.targets.map(({ model }) => model));
    const isInside = ({ queued, model }: RecordedRequest) => queued !== null && models.has(model ?? '');
    this.#requests = requests;
    const occupations = requests.flatMap(occupationsOf);
    const samples = requests.flatMap(sampleOf);
    const names = [...new Set([...settings.targets.map(({ name }) => name), ...occupations.map(targetOf)])];
    const ofTarget = <Kind extends { readonly target: string }>(all: readonly Kind[], name: string) =>
      all.filter(({ target }) => target === name);
    this.#occupancies = new Map(names.map((name) => [name, new Occupancy(ofTarget(occupations, name))]));
    this.services = new Map(
      names.map((name) => [name, fitService(ofTarget(samples, name), this.#occupancyOf(name))]),
    );
    const meanTokens = meanOf(samples.map(({ answerTokens }) => answerTokens));
    const inside = requests.filter(isInside);
    this.#jobs = inside.map((request, index) => this.#jobOf(request, index, meanTokens));
    this.#outside = requests.filter((request) => !isInside(request)).map(recordedOutcome);
  }

  /** As it was. */
  get recorded(): Figures {
    const { objectives, targets } = this.#settings;
    return figuresOf(this.#requests.map(recordedOutcome), { objectives, slots: slotsOf(targets) });
  }

  replay(changes: Changes = {}): Replay {
    const { load = 1 } = changes;
    const targets = changedTargets(this.#settings.targets, changes);
    const queue = new ScheduledQueue<ReplayedJob>({
      scheduler: schedulerOptions(this.#settings, changes),
      targets: targets.map(schedulerTarget),
      queueTimeoutMs: changes.queueTimeoutMs ?? this.#settings.queue_timeout_ms,
      queuedOf: ({ queued }) => queued,
    });
    const models = new Map(targets.map((target) => [target.name, this.#serviceOf(target)]));
    const backend = new SimulatedTargets<ReplayedJob>(models, (job) => queue.targetOf(job));
    const { records } = simulate({
      backend,
      contestant: queue,
      jobs: this.#jobs.map((job) => hastened(job, load)),
    });
    const outcomes = [...records.map(outcomeOf), ...this.#outside.map((each) => hastenedOutcome(each, load))];
    const { objectives } = this.#settings;
    return { figures: figuresOf(outcomes, { objectives, slots: slotsOf(targets) }), most: backend.most };
  }

  #occupancyOf(target: string): Occupancy {
    return this.#occupancies.get(target) ?? new Occupancy([]);
  }

  /** One that the record has nothing of is like the model’s first that it has. */
  #serviceOf({ name, model }: RecordedTarget): ServiceModel {
    const own = this.services.get(name);
    if (own !== undefined && own.samples > 0) return own;
    const like = this.#settings.targets.find(
      (target) => target.model === model && (this.services.get(target.name)?.samples ?? 0) > 0,
    );
    return (like && this.services.get(like.name)) ?? own ?? UNKNOWN_SERVICE;
  }

  #jobOf(request: RecordedRequest, index: number, meanTokens: number): ReplayedJob {
    const { at_ms: at, client, priority, model, queued, attempts, ended, cancel_phase: phase } = request;
    if (queued === null) throw new Error('the request was not queued');
    const last = attempts.at(-1);
    const maxTokens = queued.max_tokens ?? undefined;
    const isAnswered = request.error_code === null && request.completion_tokens !== null;
    const answerTokens = isAnswered
      ? (request.completion_tokens ?? 0)
      : Math.max(1, Math.min(maxTokens ?? Number.POSITIVE_INFINITY, Math.round(meanTokens)));
    return {
      id: String(index),
      client,
      priority: priority ?? DEFAULT_PRIORITY,
      arrivalMs: at + queued.at,
      beforeMs: queued.at,
      promptTokens: request.prompt_tokens ?? queued.prompt_tokens,
      answerTokens,
      deadlineMs: at + queued.deadline,
      abortAtMs: phase !== null && request.error_code === 'client_gone' ? at + ended : undefined,
      afterMs: isAnswered && last?.ended != null ? Math.max(0, ended - last.ended) : 0,
      service: this.#jobService(request),
      queued: {
        model: model ?? '',
        promptTokens: queued.prompt_tokens,
        maxTokens,
        maxTokensIsDefault: queued.max_tokens_is_default,
        sizeBytes: queued.bytes,
      },
    };
  }

  /** What it took, against what the model says of the number that ran beside it. */
  #jobService(request: RecordedRequest): JobService {
    const { attempts, error_code: code, completion_tokens: tokens, queued } = request;
    const uncachedTokens =
      (request.prompt_tokens ?? queued?.prompt_tokens ?? 0) - (request.cached_tokens ?? 0);
    const [sample] = sampleOf(request);
    if (sample !== undefined) {
      const { target, startedAt, firstTokenAt, endedAt, promptTokens, answerTokens } = sample;
      const service = this.services.get(target) ?? UNKNOWN_SERVICE;
      const occupancy = this.#occupancyOf(target);
      const firstMs = firstTokenMs(service, promptTokens, occupancy.at(startedAt));
      const perTokenMs = tokenMs(service, occupancy.mean(firstTokenAt, endedAt));
      return {
        kind: 'streamed',
        uncachedTokens,
        firstFactor: factorOf(firstTokenAt - startedAt, firstMs),
        tokenFactor: factorOf((endedAt - firstTokenAt) / Math.max(1, answerTokens - 1), perTokenMs),
      };
    }
    const heldMs = attempts.reduce((sum, { started, ended }) => sum + (ended ?? request.ended) - started, 0);
    const isCutOff = request.cancel_phase !== null;
    const failed = code !== null && attempts.length > 0 && !isCutOff;
    if (attempts.length > 0 && !isCutOff && (failed || tokens !== null))
      return { kind: 'held', ms: heldMs, fails: failed };
    return { kind: 'streamed', uncachedTokens, firstFactor: 1, tokenFactor: 1 };
  }
}

function factorOf(tookMs: Milliseconds, expectedMs: Milliseconds): number {
  if (expectedMs <= 0) return 1;
  return Math.min(MAX_FACTOR, Math.max(0, tookMs / expectedMs));
}

function occupationsOf({ at_ms: at, attempts, ended: end }: RecordedRequest): Occupation[] {
  return attempts.map(({ target, started, ended }) => ({
    target,
    startedAt: at + started,
    endedAt: at + (ended ?? end),
  }));
}

/** Of a request that was answered by its only try, as a stream. */
function sampleOf(request: RecordedRequest): ServiceSample[] {
  const {
    at_ms: at,
    attempts,
    prompt_tokens: prompt,
    completion_tokens: tokens,
    cached_tokens: cached,
  } = request;
  const [attempt] = attempts;
  if (attempts.length !== 1 || attempt === undefined || attempt.outcome !== 'completed') return [];
  const { target, started, first_token: first, ended } = attempt;
  if (first === null || ended === null || tokens === null || tokens < 1) return [];
  return [
    {
      target,
      startedAt: at + started,
      firstTokenAt: at + first,
      endedAt: at + ended,
      promptTokens: Math.max(0, (prompt ?? 0) - (cached ?? 0)),
      answerTokens: tokens,
    },
  ];
}

function targetOf({ target }: Occupation): string {
  return target;
}

function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 1 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function slotsOf(targets: readonly RecordedTarget[]): number {
  return targets.reduce((sum, { slots }) => sum + slots, 0);
}

/** The first ones of each model; further ones are like its first. */
export function changedTargets(
  targets: readonly RecordedTarget[],
  changes: Changes,
): readonly RecordedTarget[] {
  const models = [...new Set(targets.map(({ model }) => model))];
  return models.flatMap((model) => {
    const ofModel = targets.filter((target) => target.model === model);
    const count = changes.targets ?? ofModel.length;
    return Array.from({ length: count }, (_, index): RecordedTarget[] => {
      const known = ofModel[index];
      const [first] = ofModel;
      const target = known ?? (first && { ...first, name: `${first.name}+${index}` });
      return target === undefined ? [] : [{ ...target, slots: changes.slots ?? target.slots }];
    }).flat();
  });
}

function schedulerTarget({ name, model, slots, weight, role }: RecordedTarget): SchedulerTarget {
  return { id: name, model, slots, weight, role, state: 'ready' };
}

function schedulerOptions(settings: RecordedSettings, changes: Changes): SchedulerOptions {
  const known = <Mode extends string>(name: string, all: Readonly<Record<Mode, unknown>>): Mode => {
    if (name in all) return name as Mode;
    throw new Error(`the record has the unknown setting ${JSON.stringify(name)}`);
  };
  const bound = (value: number | null | undefined) => value ?? Number.POSITIVE_INFINITY;
  return {
    mode: changes.mode ?? known(settings.mode, BATCH_POLICIES),
    order: changes.order ?? known(settings.order, ORDER_POLICIES),
    maxBatchSize: changes.maxBatchSize ?? settings.max_batch_size,
    windowMs: changes.windowMs ?? settings.window_ms,
    maxQueue: changes.maxQueue ?? settings.max_queue,
    maxQueuePerClient: changes.maxQueuePerClient ?? bound(settings.max_queue_per_client),
    maxQueueBytes: settings.max_queue_bytes,
    maxBatchTokens: bound(settings.max_batch_tokens),
    maxTokensInFlight: bound(settings.max_tokens_in_flight),
    agingMs: settings.aging_ms,
    maxOvertakes: settings.max_overtakes,
    routing: {
      policy: changes.routing ?? known(settings.routing, ROUTING_POLICIES),
      prefixAffinity: false,
      random: randomSource(SEED).next,
    },
  };
}

/** Everything arrives sooner; how long each client is willing to wait stays. */
function hastened(job: ReplayedJob, load: number): ReplayedJob {
  if (load === 1) return job;
  const { arrivalMs, deadlineMs, abortAtMs } = job;
  const earlierMs = arrivalMs - arrivalMs / load;
  return {
    ...job,
    arrivalMs: arrivalMs - earlierMs,
    deadlineMs: deadlineMs - earlierMs,
    abortAtMs: abortAtMs === undefined ? undefined : abortAtMs - earlierMs,
  };
}

function hastenedOutcome(outcome: RequestOutcome, load: number): RequestOutcome {
  const tookMs = outcome.endedAt - outcome.arrivedAt;
  const arrivedAt = outcome.arrivedAt / load;
  return { ...outcome, arrivedAt, endedAt: arrivedAt + tookMs };
}

const OUTCOMES: Readonly<Record<JobRecord<ReplayedJob>['outcome'], RequestOutcome['outcome']>> = {
  completed: 'finished',
  refused: 'rejected',
  expired: 'rejected',
  failed: 'failed',
  aborted: 'cancelled',
};

function outcomeOf(record: JobRecord<ReplayedJob>): RequestOutcome {
  const { job, startedAtMs, endedAtMs, servedMs, firstTokenMs: first, outcome, code } = record;
  const arrivedAt = job.arrivalMs - job.beforeMs;
  const kind = OUTCOMES[outcome];
  const isFinished = kind === 'finished';
  return {
    arrivedAt,
    endedAt: endedAtMs + (isFinished ? job.afterMs : 0),
    outcome: kind,
    code: kind === 'rejected' ? (code ?? 'queue_timeout') : undefined,
    queueMs: startedAtMs === undefined ? undefined : startedAtMs - job.arrivalMs,
    ttftMs: first === undefined || startedAtMs === undefined ? undefined : startedAtMs + first - arrivedAt,
    answerTokens: record.answerTokens,
    heldMs: servedMs,
  };
}

/** The values that the changes may have. */
export const CHOICES = {
  order: Object.keys(ORDER_POLICIES) as OrderMode[],
  mode: Object.keys(BATCH_POLICIES) as BatchMode[],
  routing: Object.keys(ROUTING_POLICIES) as RoutingMode[],
} as const;
