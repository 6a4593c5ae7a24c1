/** The answer of GET /ready, from what the monitors know; pure, touches no backend. */
import type { TargetState } from '../core/backend.ts';
import type { ModelId } from '../core/generation.ts';
import { canServe, type Target } from './target.ts';

export type NotReadyReason =
  | 'model_loading'
  | 'model_not_found'
  | 'backend_unreachable'
  | 'backend_failed'
  | 'draining';

export interface ModelReadiness {
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
