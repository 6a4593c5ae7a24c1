/** One place that serves a model, as the running server sees it. `status` is written by the target monitor alone. */
import type { Backend, CacheIsolation, TargetStatus } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';

export interface Target {
  /** Unique within its model: `ollama/0`. */
  readonly id: string;
  readonly model: ModelId;
  readonly backendName: string;
  /** The model's name at its backend. */
  readonly modelThere: string;
  readonly backend: Backend;
  /** The model lives in a process of ours: it is warmed up at the start whatever the probe says. */
  readonly embedded: boolean;
  /** As configured, or what the backend assumes. */
  readonly slots: number;
  /** They are configured: what the server tells does not count. */
  readonly slotsGiven?: boolean;
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
export function slotsOf({ slots, slotsGiven = false, status }: Target): number {
  return slotsGiven ? slots : (status.slots ?? slots);
}
