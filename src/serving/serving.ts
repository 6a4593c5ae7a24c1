/**
 * What the edge may ask of the house: generate, embed, is it ready, which models are there. Owns the targets with their
 * monitors, and keeps the scheduler told of their state.
 */
import type {
  CacheIsolation,
  Embeddings,
  GenerationSink,
  ServedModel,
  TargetStatus,
  Tokenizer,
} from '../core/backend.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import type { Log } from '../core/log.ts';
import type { SchedulerOptions, SchedulerTarget } from '../scheduling/decision.ts';
import { Scheduler } from '../scheduling/scheduler.ts';
import { Dispatcher } from './dispatcher.ts';
import { Drain } from './drain.ts';
import { type EmbeddingCall, embed } from './embed.ts';
import { type GenerationCall, type GenerationServices, ServedGeneration } from './generate.ts';
import { TargetMonitor } from './target-monitor.ts';
import {
  canServe,
  largestContext,
  modelDigests,
  type Readiness,
  readinessOf,
  servedModel,
  slotCountOf,
  type Target,
  tokenizerOf,
} from './targets.ts';

export interface ServingOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly targets: readonly Target[];
  readonly defaultModel: ModelId;
  /** Alias → model. */
  readonly aliases: ReadonlyMap<string, ModelId>;
  /** What a backend cannot honour is left away rather than refused. */
  readonly lenient: boolean;
  readonly scheduler: SchedulerOptions;
  readonly queueTimeoutMs: Milliseconds;
  readonly onTokenGap: (model: ModelId, gapMs: Milliseconds) => void;
  /** An embedded model could not be brought up at the start: missing, corrupt, not to be fetched, or no engine for it. */
  readonly onFatal: (target: Target, error: ServingError) => void;
}

/** Of a name that is not known. */
const SHOWN_CHARACTERS = 200;

export interface ModelLoad {
  readonly model: ModelId;
  readonly waiting: number;
  readonly waitingBytes: number;
  readonly running: number;
}

export class Serving {
  readonly drain: Drain;
  readonly #options: ServingOptions;
  readonly #models = new Map<ModelId, Target[]>();
  readonly #cacheIsolations = new Map<ModelId, CacheIsolation>();
  readonly #scheduler: Scheduler;
  readonly #dispatcher: Dispatcher;
  readonly #services: GenerationServices;
  readonly #monitors = new Map<Target, TargetMonitor>();

  constructor(options: ServingOptions) {
    const { clock } = options;
    this.#options = options;
    this.drain = new Drain(clock);
    this.#scheduler = new Scheduler(options.scheduler);
    this.#dispatcher = new Dispatcher({ scheduler: this.#scheduler, clock });
    this.#services = {
      clock,
      dispatcher: this.#dispatcher,
      queueTimeoutMs: options.queueTimeoutMs,
      onTokenGap: options.onTokenGap,
      lenient: options.lenient,
      cacheIsolationOf: (model) => this.#cacheIsolations.get(model),
      findTarget: (model, id) => this.#findTarget(model, id),
      isMissing: (model) =>
        (this.#models.get(model) ?? []).every(({ status }) => status.state === 'not_found'),
      onBackendFailure: this.#onBackendFailure,
    };
    for (const target of options.targets) {
      this.#models.set(target.model, [...(this.#models.get(target.model) ?? []), target]);
      const isolation = stricterOf(this.#cacheIsolations.get(target.model), target.cacheIsolation);
      if (isolation) this.#cacheIsolations.set(target.model, isolation);
      this.#dispatcher.setTarget(schedulerTarget(target));
      this.#monitors.set(target, this.#monitor(target));
    }
  }

  get defaultModel(): ModelId {
    return this.#options.defaultModel;
  }

  get targets(): readonly Target[] {
    return this.#options.targets;
  }

  start(): void {
    for (const monitor of this.#monitors.values()) monitor.start();
  }

  /**
   * A model by its id or one of its aliases; also with the tag `:latest`, as Ollama's list has it: clients that find models
   * there ask for them by any protocol. `anyCase`: one that differs in case is found where none is the same. Without a
   * name: the default model. Throws `model_not_found`.
   */
  requireModel(
    name: string = this.defaultModel,
    { anyCase = false }: { readonly anyCase?: boolean } = {},
  ): { readonly id: ModelId; readonly contextSize: number | undefined } {
    const spellings = [name, name.replace(/:latest$/, '')];
    const ids = spellings.map((spelling) => this.#options.aliases.get(spelling) ?? spelling);
    const same = ids.find((each) => this.#models.has(each));
    const id = same ?? (anyCase ? this.#idInAnyCase(name) : undefined) ?? name;
    const targets = this.#models.get(id);
    if (!targets) {
      throw new ServingError('model_not_found', {
        message: `The model ${JSON.stringify(name.slice(0, SHOWN_CHARACTERS))} is not served here. Known models: ${[...this.#models.keys()].join(', ')}.`,
        param: 'model',
      });
    }
    return { id, contextSize: largestContext(targets) };
  }

  #idInAnyCase(name: string): ModelId | undefined {
    const names = [...[...this.#models.keys()].map((id) => [id, id] as const), ...this.#options.aliases];
    return names.find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1];
  }

  /** All models, in the order of the configuration. */
  models(): ServedModel[] {
    const { aliases } = this.#options;
    const digests = modelDigests(this.#models);
    return [...this.#models].map(([id, targets]) =>
      servedModel(id, targets, { aliases, digest: digests.get(id) ?? '' }),
    );
  }

  /** Its vocabulary, from a target that is up. Throws where none is, or none tells. */
  tokenizerOf(model: ModelId): Tokenizer {
    return tokenizerOf(model, this.#models.get(model) ?? []);
  }

  /** Begins to wait in the queue. */
  generate(call: GenerationCall, sink: GenerationSink): ServedGeneration {
    const generation = new ServedGeneration(call, sink, this.#services);
    generation.start();
    return generation;
  }

  embed(call: EmbeddingCall): Promise<Embeddings> {
    return embed(call, this.#services);
  }

  readiness(): Readiness {
    return readinessOf({
      models: this.#models,
      defaultModel: this.defaultModel,
      draining: this.drain.draining,
    });
  }

  loads(): ModelLoad[] {
    return [...this.#models.keys()].map((model) => {
      const { requests, sizeBytes } = this.#scheduler.waiting(model);
      const running = this.#scheduler.running(model);
      return { model, waiting: requests, waitingBytes: sizeBytes, running };
    });
  }

  /** Slots that are held at a target, and the estimated tokens of what holds them. */
  usedOf(target: Target): { readonly slots: number; readonly tokens: number } {
    return this.#scheduler.usedOf(target);
  }

  async close(): Promise<void> {
    for (const monitor of this.#monitors.values()) monitor.stop();
    this.#dispatcher.close();
    await Promise.allSettled(this.targets.map(({ backend }) => backend.close()));
  }

  readonly #onBackendFailure = (target: Target, error: ServingError): void => {
    const { model, id } = target;
    const fields = { model, target: id, code: error.code, cause: describe(error.cause) };
    this.#options.log.warn(`request failed at its backend: ${error.message}`, fields);
    this.#monitors.get(target)?.probeSoon();
  };

  #findTarget(model: ModelId, id: string): Target {
    const target = this.#models.get(model)?.find((candidate) => candidate.id === id);
    if (!target) throw new Error(`no target ${id} for ${model}`);
    return target;
  }

  #monitor(target: Target): TargetMonitor {
    const { clock, log, onFatal } = this.#options;
    const fields = { model: target.model, target: target.id };
    return new TargetMonitor({
      target,
      clock,
      onChange: (changed, before) => {
        const write = canServe(changed.status) || changed.status.state === 'loading' ? log.info : log.warn;
        const detail = changed.status.detail === undefined ? '' : `: ${changed.status.detail}`;
        if (before.state !== changed.status.state)
          write.call(log, `target is ${changed.status.state}${detail}`, fields);
        if (changed.status.slots !== before.slots) warnOfSlots(changed, log);
        this.#dispatcher.setTarget(schedulerTarget(changed));
      },
      onWarmUpFailed: (_, error) => {
        // Whoever ends the process for it says why.
        if (target.embedded) return onFatal(target, error);
        log.error(`the model could not be loaded: ${error.message}`, {
          ...fields,
          cause: describe(error.cause),
        });
      },
    });
  }
}

function schedulerTarget(target: Target): SchedulerTarget {
  const { id, model, status, cacheIsolation } = target;
  return {
    id,
    model,
    slots: slotCountOf(target),
    state: schedulerState(status),
    cachesPrefixes: cacheIsolation !== undefined,
  };
}

/** What a server has no room for waits there, out of our sight; what it could run and does not get is lost. */
function warnOfSlots(target: Target, log: Log): void {
  const { model, id, status } = target;
  const slots = slotCountOf(target);
  if (status.slots === undefined || status.slots === slots) return;
  log.warn(
    `slots is ${slots}, but the server runs ${status.slots} requests at the same time: set slots to ${status.slots} or leave it out, or start the server with ${slots}`,
    { model, target: id },
  );
}

/** Of a model's targets the strictest decides: where a request will run is not known when its fingerprint is taken. */
function stricterOf(one?: CacheIsolation, other?: CacheIsolation): CacheIsolation | undefined {
  return one === 'client' ? one : (other ?? one);
}

/** Loading and restarting are worth waiting for in the queue; everything else that cannot serve is not. */
function schedulerState(status: TargetStatus): SchedulerTarget['state'] {
  if (canServe(status)) return 'ready';
  return status.state === 'loading' || status.state === 'unloaded' || status.restarting ? 'loading' : 'down';
}

function describe(cause: unknown): string | undefined {
  if (cause === undefined) return undefined;
  return cause instanceof Error ? cause.message : String(cause);
}
