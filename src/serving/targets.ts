/** One place that serves a model, as the running server sees it. `status` is written by the target monitor alone. */

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

export interface Target {
  /** Unique within its model: `ollama/0`. */
  readonly id: string;
  readonly model: ModelId;
  readonly backendName: string;
  /** The model's name at its backend. */
  readonly upstreamModel: string;
  readonly backend: Backend;
  /** The model lives in a process of ours: it is warmed up at the start whatever the probe says. */
  readonly embedded: boolean;
  /** As configured, or what the backend assumes. */
  readonly slots: number;
  /** They are configured: what the server tells does not count. */
  readonly slotsConfigured?: boolean;
  /** Whose prompts share what its slots have cached; undefined where it has no cache, or sees to it itself. */
  readonly cacheIsolation: CacheIsolation | undefined;
  readonly firstTokenTimeoutMs: Milliseconds;
  readonly idleTimeoutMs: Milliseconds;
  /** For an answer that is asked for whole; undefined: the request's own limit. */
  readonly answerTimeoutMs?: Milliseconds | undefined;
  status: TargetStatus;
}

/** Whether a request may be sent there now; an idle model that was allowed to leave memory comes back by itself. */
export function canServe({ state, mayUnload }: TargetStatus): boolean {
  return state === 'ready' || (state === 'unloaded' && mayUnload === true);
}

/** How many requests run there at the same time: as configured, else as the server tells, else as its backend assumes. */
export function slotCountOf({ slots, slotsConfigured = false, status }: Target): number {
  return slotsConfigured ? slots : (status.slots ?? slots);
}

/** What the targets of a model have in common, and who can speak of its vocabulary. Pure. */

export function servedModel(
  id: ModelId,
  targets: readonly Target[],
  { aliases, digest }: { readonly aliases: ReadonlyMap<string, ModelId>; readonly digest: string },
): ServedModel {
  return {
    id,
    aliases: [...aliases].flatMap(([alias, model]) => (model === id ? [alias] : [])),
    contextSize: largestContext(targets),
    ready: targets.some(({ status }) => canServe(status)),
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

export function largestContext(targets: readonly Target[]): number | undefined {
  const sizes = targets.flatMap(({ status }) => status.contextSize ?? []);
  return sizes.length === 0 ? undefined : Math.max(...sizes);
}

export function tokenizerOf(model: ModelId, targets: readonly Target[]): Tokenizer {
  const telling = targets.filter(({ backend }) => backend.tokenizer !== undefined);
  if (telling.length === 0)
    throw new ServingError('unsupported_parameter', {
      message: `model is ${JSON.stringify(model)}, whose backend does not tell its tokens (${targets.map(({ backendName }) => backendName).join(', ')}). Ask for another model.`,
      param: 'model',
    });
  const up = telling.find(({ status }) => canServe(status));
  if (up?.backend.tokenizer !== undefined) return up.backend.tokenizer;
  const isLoading = telling.some(({ status }) => status.state === 'loading' || status.restarting);
  throw new ServingError(isLoading ? 'model_loading' : 'no_backend_available', { retryAfterSeconds: 1 });
}

/**
 * By which digest each model is listed: clients key what they know of a model by it, so no two models share one, also where
 * they are served from one file; aliases are one model. Pure.
 */

/**
 * The first model that is served from a file has the file's own, as far as it is known; any other has one of its
 * configuration. Sixty-four hexadecimal digits.
 */
export function modelDigests(models: ReadonlyMap<ModelId, readonly Target[]>): ReadonlyMap<ModelId, string> {
  const taken = new Set<string>();
  return new Map(
    [...models].map(([id, targets]) => {
      const known = targets.flatMap(({ status }) => status.details?.digest ?? [])[0];
      const digest = known === undefined || taken.has(known) ? ofConfiguration(id, targets) : known;
      taken.add(digest);
      return [id, digest];
    }),
  );
}

function ofConfiguration(id: ModelId, targets: readonly Target[]): string {
  const places = targets.map(({ backendName, upstreamModel }) => [backendName, upstreamModel]);
  return createHash('sha256')
    .update(JSON.stringify([id, places]))
    .digest('hex');
}

/** The answer of GET /ready, from what the monitors know; pure, touches no backend. */

type NotReadyReason =
  | 'model_loading'
  | 'model_not_found'
  | 'backend_unreachable'
  | 'backend_failed'
  | 'draining';

interface ModelReadiness {
  readonly id: ModelId;
  readonly status: 'ready' | 'not_ready';
  readonly reason?: NotReadyReason;
  readonly targets: readonly {
    readonly backend: string;
    readonly status: TargetState;
    readonly loaded: boolean;
  }[];
}

export interface Readiness {
  readonly status: 'ready' | 'not_ready';
  readonly reason?: NotReadyReason;
  readonly models: readonly ModelReadiness[];
}

/** Most hopeful first: with several targets the one that will serve soonest says why nothing is served yet. */
const REASONS: readonly (readonly [TargetState, NotReadyReason])[] = [
  ['loading', 'model_loading'],
  ['unloaded', 'model_loading'],
  ['failed', 'backend_failed'],
  ['not_found', 'model_not_found'],
  ['unreachable', 'backend_unreachable'],
];

export function readinessOf(server: {
  readonly models: ReadonlyMap<ModelId, readonly Target[]>;
  readonly defaultModel: ModelId;
  readonly draining: boolean;
}): Readiness {
  const models = [...server.models].map(([id, targets]) => modelReadiness(id, targets));
  if (server.draining) return { status: 'not_ready', reason: 'draining', models };
  const { status, reason } = models.find(({ id }) => id === server.defaultModel) ?? {
    status: 'not_ready' as const,
  };
  return { status, ...(reason === undefined ? {} : { reason }), models };
}

function modelReadiness(id: ModelId, targets: readonly Target[]): ModelReadiness {
  const shown = targets.map(({ backendName, status }) => ({
    backend: backendName,
    status: status.state,
    loaded: status.loaded,
  }));
  if (targets.some(({ status }) => canServe(status))) return { id, status: 'ready', targets: shown };
  const why = REASONS.find(([state]) => targets.some(({ status }) => status.state === state));
  return { id, status: 'not_ready', reason: why?.[1] ?? 'backend_unreachable', targets: shown };
}
