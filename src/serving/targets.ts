/**
 * The targets of every model, and how a request finds them: by the model's name, an alias, or the tag `:latest`. A target is one
 * place that serves a model; its `status` and `health` are written by its monitor alone.
 */
import { createHash } from 'node:crypto';
import type {
  Backend,
  CacheIsolation,
  ServedModel,
  TargetState,
  TargetStatus,
  Tokenizer,
} from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { ModelId } from '../core/generation.ts';
import { type HealthState, isInService, type Reachability } from '../scheduling/target-health.ts';

/** What a reload can change of a target that goes on. */
export interface TargetSettings {
  /** Its share of the requests, relative to the model's other targets. */
  readonly weight: number;
  /** `fallback`: gets requests only while no primary target can serve. */
  readonly role: 'primary' | 'fallback';
  /** As configured, or what the backend assumes. */
  readonly slots: number;
  /** `slots` is configured: what the server reports does not count. */
  readonly slotsConfigured?: boolean;
  /** How many it has follows from how its server works. */
  readonly slotsAdaptive?: boolean;
  readonly firstTokenTimeoutMs: Milliseconds;
  readonly idleTimeoutMs: Milliseconds;
  /** For an answer that is not streamed; undefined: the request's own limit. */
  readonly answerTimeoutMs?: Milliseconds | undefined;
}

export interface Target extends TargetSettings {
  /** Its name, unique in the configuration: `smollm2/ollama/0` unless configured. */
  readonly id: string;
  readonly model: ModelId;
  readonly backendName: string;
  /** The address of its server, which may serve other models too; undefined: it is no server. */
  readonly server?: string | undefined;
  /** Of the server that is asked; undefined: it is no server. */
  readonly url?: string | undefined;
  /** The model's name at its backend. */
  readonly upstreamModel: string;
  readonly backend: Backend;
  /** The model runs in a process of ours: it is warmed up at the start, whatever the probe reports. */
  readonly embedded: boolean;
  /**
   * Other servers use its slots too, and know it by the same name: they are divided among them. Undefined: this server has them alone, or
   * each counts for itself.
   */
  readonly sharedAs?: string | undefined;
  /** Whose prompts share what its slots have cached; undefined where it has no cache, or manages it itself. */
  readonly cacheIsolation: CacheIsolation | undefined;
  status: TargetStatus;
  health: HealthState;
}

/** Whether a request may be sent there now; an idle model that was allowed to leave memory is loaded again by the request. */
export function canServe({ state, mayUnload }: TargetStatus): boolean {
  return state === 'ready' || (state === 'unloaded' && mayUnload === true);
}

/** Loading and restarting are worth waiting for in the queue; everything else that cannot serve is not. */
export function reachabilityOf(status: TargetStatus): Reachability {
  if (canServe(status)) return 'up';
  return status.state === 'loading' || status.state === 'unloaded' || status.restarting ? 'coming' : 'down';
}

/** Whether the scheduler may send it a request now. */
export function getsRequests({ status, health }: Pick<Target, 'status' | 'health'>): boolean {
  return canServe(status) && (isInService(health) || health === 'probing');
}

/** Those that get requests, but none of the other role of a model while a primary one serves, with or without a free slot. */
export function askedAmong(targets: readonly Target[]): readonly Target[] {
  const serving = targets.filter(getsRequests);
  const models = new Set(serving.flatMap(({ role, model }) => (role === 'primary' ? model : [])));
  return serving.filter(({ role, model }) => role === 'primary' || !models.has(model));
}

/** Of a server that does not report how many requests it runs. */
const MAX_ADAPTIVE_SLOTS = 1024;

/**
 * How many requests run there at the same time: as configured, else as the server reports, else as its backend assumes. With adaptive
 * slots: at most.
 */
export function slotCountOf({ slots, slotsConfigured = false, slotsAdaptive, status }: Target): number {
  if (slotsAdaptive) return status.slots ?? MAX_ADAPTIVE_SLOTS;
  return slotsConfigured ? slots : (status.slots ?? slots);
}

/** Where a server with adaptive slots does not report how many it has, there is nothing to divide: each finds its own number. */
export function isShared({ sharedAs, slotsAdaptive = false, status }: Target): boolean {
  return sharedAs !== undefined && !(slotsAdaptive && status.slots === undefined);
}

/** None of a model's targets has it. */
export function isMissing(targets: readonly Target[]): boolean {
  return targets.length > 0 && targets.every(({ status }) => status.state === 'not_found');
}

export interface TargetsOptions {
  readonly targets: readonly Target[];
  readonly defaultModel: ModelId;
  /** Alias → model. */
  readonly aliases: ReadonlyMap<string, ModelId>;
}

/** Characters of an unknown name that an error shows. */
const SHOWN_CHARACTERS = 200;

export class Targets {
  readonly all: readonly Target[];
  readonly defaultModel: ModelId;
  readonly #aliases: ReadonlyMap<string, ModelId>;
  /** In the order of the configuration. */
  readonly #models = new Map<ModelId, readonly Target[]>();
  readonly #cacheIsolations = new Map<ModelId, CacheIsolation>();

  constructor({ targets, defaultModel, aliases }: TargetsOptions) {
    this.all = targets;
    this.defaultModel = defaultModel;
    this.#aliases = aliases;
    for (const target of targets) {
      this.#models.set(target.model, [...this.of(target.model), target]);
      const isolation = stricterOf(this.#cacheIsolations.get(target.model), target.cacheIsolation);
      if (isolation) this.#cacheIsolations.set(target.model, isolation);
    }
  }

  get models(): Iterable<ModelId> {
    return this.#models.keys();
  }

  of(model: ModelId): readonly Target[] {
    return this.#models.get(model) ?? [];
  }

  /**
   * The model of that name. A name is a model's id or one of its aliases, also with the tag `:latest`: Ollama's listing adds
   * it, and clients that find models there ask for them by any protocol. `anyCase`: where no name is the same, one that
   * differs in case counts. Without a name: the default model. `allowed`: as in `mayUse`. Throws `model_not_found`, or
   * `model_not_allowed`.
   */
  requireModel(
    name: string = this.defaultModel,
    { anyCase = false }: { readonly anyCase?: boolean } = {},
    allowed?: readonly string[],
  ): { readonly id: ModelId; readonly contextSize: number | undefined } {
    const spellings = [name, name.replace(/:latest$/, '')];
    const ids = spellings.map((spelling) => this.#aliases.get(spelling) ?? spelling);
    const same = ids.find((each) => this.#models.has(each));
    const id = same ?? (anyCase ? this.#idInAnyCase(name) : undefined) ?? name;
    const targets = this.#models.get(id);
    if (!targets) {
      throw new ServingError('model_not_found', {
        message: `The model ${JSON.stringify(name.slice(0, SHOWN_CHARACTERS))} does not exist. Available models: ${this.#namesFor(allowed)}.`,
        param: 'model',
      });
    }
    if (!this.mayUse(id, allowed))
      throw new ServingError('model_not_allowed', {
        message: `This API key may not use the model ${JSON.stringify(id)}. It may use: ${this.#namesFor(allowed) || 'none of the models of this server'}.`,
        param: 'model',
      });
    return { id, contextSize: largestContext(targets) };
  }

  /** `allowed`: the models of a key, by their ids or aliases; undefined: it may use all. */
  mayUse(model: ModelId, allowed: readonly string[] | undefined): boolean {
    if (allowed === undefined || allowed.includes(model)) return true;
    return allowed.some((name) => this.#aliases.get(name) === model);
  }

  #namesFor(allowed: readonly string[] | undefined): string {
    return [...this.#models.keys()].filter((id) => this.mayUse(id, allowed)).join(', ');
  }

  #idInAnyCase(name: string): ModelId | undefined {
    const names = [...[...this.#models.keys()].map((id) => [id, id] as const), ...this.#aliases];
    return names.find(([known]) => known.toLowerCase() === name.toLowerCase())?.[1];
  }

  /** The models as listings show them, in the order of the configuration. `allowed`: as in `mayUse`. */
  list(allowed?: readonly string[]): ServedModel[] {
    const digests = modelDigests(this.#models);
    return [...this.#models]
      .filter(([id]) => this.mayUse(id, allowed))
      .map(([id, targets]) => this.#describe(id, targets, digests.get(id) ?? ''));
  }

  #describe(id: ModelId, targets: readonly Target[], digest: string): ServedModel {
    return {
      id,
      aliases: [...this.#aliases].flatMap(([alias, model]) => (model === id ? [alias] : [])),
      contextSize: largestContext(targets),
      ready: targets.some(getsRequests),
      details: targets.flatMap(({ status }) => status.details ?? [])[0] ?? {},
      digest,
      abilities: [...new Set(targets.flatMap(({ status }) => status.abilities ?? []))],
      targets: targets.map(({ backendName, upstreamModel, status }) => ({
        backend: backendName,
        model: upstreamModel,
        state: status.state,
        loaded: status.loaded,
      })),
    };
  }

  /** The model's vocabulary, from a target that is up. Throws where none has one, or none is up. */
  tokenizerOf(model: ModelId): Tokenizer {
    const targets = this.of(model);
    const capable = targets.filter(({ backend }) => backend.tokenizer !== undefined);
    if (capable.length === 0)
      throw new ServingError('unsupported_parameter', {
        message: `model is ${JSON.stringify(model)}, whose backend does not tokenize (${targets.map(({ backendName }) => backendName).join(', ')}). Use another model.`,
        param: 'model',
      });
    const up = capable.find(getsRequests) ?? capable.find(({ status }) => canServe(status));
    if (up?.backend.tokenizer !== undefined) return up.backend.tokenizer;
    const isLoading = capable.some(({ status }) => status.state === 'loading' || status.restarting);
    throw new ServingError(isLoading ? 'model_loading' : 'no_backend_available', { retryAfterSeconds: 1 });
  }

  /** Undefined where none of the model's targets caches prefixes. */
  cacheIsolationOf(model: ModelId): CacheIsolation | undefined {
    return this.#cacheIsolations.get(model);
  }

  /**
   * The answer of GET /ready, from what the monitors know; asks no backend. A default model that a fallback model answers for can be
   * served.
   */
  readiness({
    draining,
    fallbacksOf = () => [],
    withoutShare = new Set(),
  }: {
    readonly draining: boolean;
    readonly fallbacksOf?: (model: ModelId) => readonly ModelId[];
    /** Shared targets of whose slots this server may give none now. */
    readonly withoutShare?: ReadonlySet<string>;
  }): Readiness {
    const models = [...this.#models].map(([id, targets]) => {
      const own = modelReadiness(id, targets, withoutShare);
      // What waits for slots of shared targets goes to no fallback model.
      if (own.status === 'ready' || own.reason === 'lease_store_away') return own;
      const fallback = fallbacksOf(id).find(
        (other) => modelReadiness(other, this.of(other), withoutShare).status === 'ready',
      );
      return fallback === undefined ? own : { ...own, fallback };
    });
    if (draining) return { status: 'not_ready', reason: 'draining', models };
    const model = models.find(({ id }) => id === this.defaultModel);
    if (model?.status === 'ready' || model?.fallback !== undefined) return { status: 'ready', models };
    return { status: 'not_ready', ...(model?.reason !== undefined && { reason: model.reason }), models };
  }
}

/** The strictest of a model's targets decides: where a request will run is not known when its fingerprint is taken. */
const STRICTEST_FIRST: readonly CacheIsolation[] = ['client', 'by_keys', 'shared'];

function stricterOf(one?: CacheIsolation, other?: CacheIsolation): CacheIsolation | undefined {
  return STRICTEST_FIRST.find((each) => each === one || each === other);
}

function largestContext(targets: readonly Target[]): number | undefined {
  const sizes = targets.flatMap(({ status }) => status.contextSize ?? []);
  return sizes.length === 0 ? undefined : Math.max(...sizes);
}

/**
 * The digest of each model in listings, 64 hexadecimal digits. Clients key what they know of a model by it, so no two models
 * share one, even if they are served from one file: the first gets the file's digest, where it is known, any other one of
 * its configuration.
 */
function modelDigests(models: ReadonlyMap<ModelId, readonly Target[]>): ReadonlyMap<ModelId, string> {
  const taken = new Set<string>();
  return new Map(
    [...models].map(([id, targets]) => {
      const known = targets.flatMap(({ status }) => status.details?.digest ?? [])[0];
      const digest = known === undefined || taken.has(known) ? configurationDigest(id, targets) : known;
      taken.add(digest);
      return [id, digest];
    }),
  );
}

function configurationDigest(id: ModelId, targets: readonly Target[]): string {
  const places = targets.map(({ backendName, upstreamModel }) => [backendName, upstreamModel]);
  return createHash('sha256')
    .update(JSON.stringify([id, places]))
    .digest('hex');
}

type NotReadyReason =
  | 'model_loading'
  | 'model_not_found'
  | 'backend_unreachable'
  | 'backend_failed'
  | 'lease_store_away'
  | 'draining';

interface ModelReadiness {
  readonly id: ModelId;
  readonly status: 'ready' | 'not_ready';
  readonly reason?: NotReadyReason;
  /** The model that answers for it meanwhile. */
  readonly fallback?: ModelId;
  readonly targets: readonly {
    readonly name: string;
    readonly backend: string;
    readonly status: TargetState;
    readonly loaded: boolean;
    readonly health: HealthState;
  }[];
}

export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  readonly reason?: NotReadyReason;
  readonly models: readonly ModelReadiness[];
}

/** Most hopeful first: of several targets, the one that will serve soonest gives the reason. */
const REASONS: readonly (readonly [TargetState, NotReadyReason])[] = [
  ['loading', 'model_loading'],
  ['unloaded', 'model_loading'],
  ['failed', 'backend_failed'],
  ['not_found', 'model_not_found'],
  ['unreachable', 'backend_unreachable'],
];

function modelReadiness(
  id: ModelId,
  targets: readonly Target[],
  withoutShare: ReadonlySet<string>,
): ModelReadiness {
  const shown = targets.map(({ id: name, backendName, status, health }) => ({
    name,
    backend: backendName,
    status: status.state,
    loaded: status.loaded,
    health,
  }));
  const asked = askedAmong(targets);
  if (asked.some(({ sharedAs }) => sharedAs === undefined || !withoutShare.has(sharedAs)))
    return { id, status: 'ready', targets: shown };
  if (asked.length > 0) return { id, status: 'not_ready', reason: 'lease_store_away', targets: shown };
  const why = REASONS.find(([state]) => targets.some(({ status }) => status.state === state));
  // Those that could serve are drained: another one is always in service.
  return { id, status: 'not_ready', reason: why?.[1] ?? 'draining', targets: shown };
}
