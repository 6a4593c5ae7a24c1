/**
 * The use cases that the edge calls: generate, embed, which models there are, readiness, drain. Wires them to the scheduler, the
 * targets and their monitors.
 */
import type { Ability, CacheIsolation, Embeddings, GenerationSink } from '../core/backend.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { FailureCause } from '../core/failure.ts';
import type { GenerationRequest, ModelId } from '../core/generation.ts';
import type { LeasedSlots } from '../core/leased-slots.ts';
import type { LiveState, LiveViewer } from '../core/live-feed.ts';
import type { Log } from '../core/log.ts';
import type { Attempt } from '../core/request-trace.ts';
import type { SchedulerOptions } from '../scheduling/decision.ts';
import { LinkedList } from '../scheduling/linked-list.ts';
import { RetryBudget, type RetryBudgetOptions } from '../scheduling/retry-budget.ts';
import {
  type ActiveBounds,
  activeRequests,
  type CountedRequests,
  type ShownRequest,
  shownRequest,
} from './active-requests.ts';
import { Drain } from './drain.ts';
import { type EmbeddingCall, embed } from './embed.ts';
import { fallbackChain, missingAbility } from './fallback-models.ts';
import { ServedGeneration } from './generate.ts';
import type { GenerationCall, GenerationServices } from './generation-attempt.ts';
import { type LeaseState, type LeaseView, withoutShare } from './lease-state.ts';
import { liveRequests, liveTarget } from './live-requests.ts';
import { type ControlOptions, LocalControl } from './local-control.ts';
import type { ModelLoad, ServingControl } from './serving-control.ts';
import { isMissing, type Readiness, type Target, Targets, type TargetsOptions } from './targets.ts';

interface ServingOptions extends TargetsOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Settings that a backend does not support are dropped instead of refused. */
  readonly dropUnsupported: boolean;
  readonly scheduler: SchedulerOptions;
  readonly queueTimeoutMs: Milliseconds;
  readonly retry: RetrySettings;
  /** Model → those that may answer instead. */
  readonly fallbackModels: ReadonlyMap<ModelId, readonly ModelId[]>;
  /** From 0 up to, not including, 1; absent: Math.random. */
  readonly random?: () => number;
  /** Whether streams that break go on. */
  readonly resume: 'auto' | 'off';
  readonly onTokenGap: (model: ModelId, gapMs: Milliseconds, target: string | undefined) => void;
  readonly onAttempt?: (attempt: Attempt) => void;
  readonly onMalformedEvent?: (model: ModelId, target: string) => void;
  /** An embedded model could not be loaded at the start: missing, corrupt, not to be fetched, or no engine for it. */
  readonly onFatal: (target: Target, error: ServingError) => void;
  readonly onTargetChange?: () => void;
  /** There is more than one key: where nobody has decided, each client's cached prompts are its own. Absent: there is none. */
  readonly hasManyKeys?: () => boolean;
  /** Absent: this process serves alone. */
  readonly createControl?: (options: ControlOptions) => ServingControl;
  /** Absent: slots are not leased, or another process does it. */
  readonly leases?: LeaseView | undefined;
  /** Names an active request for administrators; absent: by numbers. */
  readonly newActiveId?: () => string;
}

export interface RetrySettings {
  /** Of one request, the first included. */
  readonly attempts: number;
  readonly budget: RetryBudgetOptions;
}

/** What a reload replaces. */
export type ServingChanges = Pick<
  ServingOptions,
  | 'targets'
  | 'defaultModel'
  | 'aliases'
  | 'fallbackModels'
  | 'dropUnsupported'
  | 'scheduler'
  | 'queueTimeoutMs'
  | 'retry'
  | 'resume'
>;

export class Serving {
  readonly drain: Drain;
  /** Its own copy, also of `scheduler`: a reload replaces the fields, which are read where they are needed. */
  readonly #options: ServingOptions;
  readonly #services: GenerationServices;
  readonly #control: ServingControl;
  #targets: Targets;

  constructor(given: ServingOptions) {
    const options = { ...given, scheduler: { ...given.scheduler } };
    const { clock, log } = options;
    this.#options = options;
    this.#targets = new Targets(options);
    this.drain = new Drain(clock, options.newActiveId);
    const decided = (isolation: CacheIsolation | undefined) => {
      if (isolation !== 'by_keys') return isolation;
      return options.hasManyKeys?.() === true ? 'client' : 'shared';
    };
    const random = options.random ?? Math.random;
    const createControl = options.createControl ?? ((parts) => new LocalControl(parts));
    this.#control = createControl({
      clock,
      log,
      random,
      scheduler: options.scheduler,
      targets: this.#targets,
      targetsOf: (model) => this.#of(model),
      onFatal: options.onFatal,
      onTargetChange: () => options.onTargetChange?.(),
    });
    const control = this.#control;
    this.#services = {
      clock,
      slotQueue: control.slotQueue,
      running: new LinkedList(),
      pauses: new LinkedList(),
      get queueTimeoutMs() {
        return options.queueTimeoutMs;
      },
      resume: () => options.resume,
      onTokenGap: options.onTokenGap,
      onMalformedEvent: this.#onMalformedEvent,
      get dropUnsupported() {
        return options.dropUnsupported;
      },
      cacheIsolationOf: (model) => decided(this.#targets.cacheIsolationOf(model)),
      isolatesClients: ({ cacheIsolation }) => decided(cacheIsolation) === 'client',
      routesByPrefix: (model) => options.scheduler.routing.prefixAffinity && this.#of(model).length > 1,
      findTarget: (model, id) => this.#find(model, id),
      isMissing: (model) => isMissing(this.#of(model)),
      hasAlternatives: (model) =>
        this.#of(model).length > 1 || (options.fallbackModels.get(model)?.length ?? 0) > 0,
      onAttemptEnded: (target, error, ended) => {
        options.onAttempt?.(ended.attempt);
        const { attempt, trace } = ended;
        const isRetry = attempt.kind !== undefined;
        control.onAttemptEnded(target, error, { request: trace, startedAt: attempt.startedAt, isRetry });
      },
      onAnswered: (trace) => control.onAnswered(trace),
      onRequestFailed: (trace) => {
        const asked = new Set(trace.attempts?.map(({ target }) => target)).size;
        control.onRequestFailed(trace, asked);
      },
      retries: {
        maxTries: () => options.retry.attempts,
        budget: new RetryBudget(() => options.retry.budget),
        random,
        fallbacksOf: (model, allowed) =>
          fallbackChain(model, options.fallbackModels).filter((id) => this.#targets.mayUse(id, allowed)),
        whyUnable: (model, needs) => {
          const ability = missingAbility(this.#of(model), needs);
          return ability === undefined ? undefined : `it does not support ${ABILITY_NAMES[ability]}`;
        },
        onFallbackSkipped: ({ reason, ...fields }) =>
          options.log.warn(`a fallback model was skipped: ${reason}`, fields),
      },
    };
  }

  get targets(): Targets {
    return this.#targets;
  }

  start(): void {
    this.#control.start();
  }

  /**
   * Takes other models, targets and settings, all in this turn. A target that is in both lists goes on; one that is not in the new
   * list gets nothing new and is closed when its last request has ended; what waits for a removed model is still served.
   */
  apply(changes: ServingChanges): void {
    const before = this.#targets;
    const after = new Targets(changes);
    const { scheduler, ...others } = changes;
    Object.assign(this.#options, others);
    Object.assign(this.#options.scheduler, scheduler);
    this.#targets = after;
    this.#control.apply(before, after);
    this.#options.onTargetChange?.();
  }

  /** Takes a target out of service, or back; undefined where none has that name. */
  setDrained(id: string, isDrained: boolean): Target | undefined {
    const target = this.#targets.all.find((each) => each.id === id);
    if (target !== undefined) this.#control.setDrained(target, isDrained);
    return target;
  }

  /** Also of a removed model, as long as requests wait for it. */
  #of(model: ModelId): readonly Target[] {
    const targets = this.#targets.of(model);
    return targets.length > 0 ? targets : this.#control.leavingOf(model);
  }

  /** A target that the scheduler has chosen. */
  #find(model: ModelId, id: string): Target {
    const isIt = (target: Target) => target.id === id;
    // Another process may have chosen it when it was still in the configuration.
    const target = this.#of(model).find(isIt) ?? this.#control.leavingOf(model).find(isIt);
    if (!target) throw new Error(`no target ${id} for ${model}`);
    return target;
  }

  /** Begins to wait in the queue. */
  generate(call: GenerationCall, sink: GenerationSink): ServedGeneration {
    const generation = new ServedGeneration(call, sink, this.#services);
    generation.enqueue();
    return generation;
  }

  /** `leases`: of the process that has them. */
  readiness(leases: LeaseState | undefined): Readiness {
    const { retries } = this.#services;
    return this.#targets.readiness({
      draining: this.drain.draining,
      fallbacksOf: retries.fallbacksOf,
      withoutShare: withoutShare(leases),
    });
  }

  /** Undefined: slots are not leased, or another process does it. */
  leases(): LeaseState | undefined {
    return this.#options.leases?.state();
  }

  leaseOf({ sharedAs }: Target): LeasedSlots | undefined {
    return sharedAs === undefined ? undefined : this.#options.leases?.of(sharedAs);
  }

  /** Tokens that limits reserve for the answer: its bound, or without one as many as most answers of late had at most. */
  reservedAnswerTokens({ model, limits }: Pick<GenerationRequest, 'model' | 'limits'>): number {
    const { maxTokens, maxTokensIsDefault = false, minTokens } = limits;
    return this.#control.reservedAnswerTokens(model, { maxTokens, maxTokensIsDefault, minTokens });
  }

  embed(call: EmbeddingCall): Promise<Embeddings> {
    return embed(call, this.#services);
  }

  loads(): ModelLoad[] {
    return [...this.targets.models].map((model) => ({ model, ...this.#control.loadOf(model) }));
  }

  /** What it is doing now. */
  live(viewer: LiveViewer): LiveState {
    const { clock, slotQueue, running, pauses } = this.#services;
    return {
      models: this.loads().map(({ model: id, waiting, running: started }) => ({
        id,
        waiting,
        running: started,
      })),
      targets: this.#targets.all.map((target) => liveTarget(target, this)),
      ...liveRequests({ clock, slotQueue, running, pauses }, viewer),
    };
  }

  /** What waits and what runs, as administrators see it. */
  active(bounds: ActiveBounds): CountedRequests {
    const { clock, slotQueue, running, pauses } = this.#services;
    return {
      ...activeRequests({ clock, slotQueue, running, pauses, ids: this.drain.ids() }, bounds),
      totals: this.totals(),
    };
  }

  /** Of all models. */
  totals(): CountedRequests['totals'] {
    const loads = this.loads();
    return {
      waiting: loads.reduce((sum, load) => sum + load.waiting, 0),
      running: loads.reduce((sum, load) => sum + load.running, 0),
    };
  }

  /** Ends one active request, whose client gets `cancelled_by_admin`. Undefined: there is none of that id. */
  cancel(id: string): ShownRequest | undefined {
    const trace = this.drain.cancel(id, new ServingError('cancelled_by_admin'));
    return trace && shownRequest(trace);
  }

  /** Slots that are held at a target, and the estimated tokens of what holds them. */
  usedOf(target: Target): { readonly slots: number; readonly tokens: number } {
    return this.#control.usedOf(target);
  }

  /** As many as it has now. */
  slotsOf(target: Target): number {
    return this.#control.slotsOf(target);
  }

  /** How often it was ejected, by cause. */
  ejectionsOf(target: Target): ReadonlyMap<FailureCause, number> {
    return this.#control.ejectionsOf(target);
  }

  async close(): Promise<void> {
    const backends = this.#targets.all.map(({ backend }) => backend.close());
    await Promise.allSettled([this.#control.close(), ...backends]);
  }

  readonly #onMalformedEvent: GenerationServices['onMalformedEvent'] = ({ model, id }, event) => {
    this.#options.onMalformedEvent?.(model, id);
    if (!event.isFirst) return;
    const fields = { model, target: id, requestId: event.requestId };
    this.#options.log.warn('the backend sent an event that cannot be read', fields);
  };
}

const ABILITY_NAMES: Readonly<Record<Ability, string>> = {
  generate: 'generation',
  tools: 'tools',
  think: 'thinking',
  see: 'images',
  embed: 'embeddings',
};
