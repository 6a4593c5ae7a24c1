/** Snapshots of GET /live for tests of the page: each has what the test says, and plain values for the rest. */
import type {
  LiveAttempt,
  LiveReceipt,
  LiveRunning,
  LiveSnapshot,
  LiveSums,
  LiveTarget,
  LiveWaiting,
} from '../../src/core/live-snapshot.ts';

export const NO_SUMS: LiveSums = {
  window_seconds: 60,
  finished: 0,
  within_objectives: 0,
  objectives: { ttft_ms: null, tpot_ms: null, e2e_ms: null },
  cancelled: 0,
  failed: 0,
  rejected: {},
  prompt_tokens: 0,
  cached_tokens: 0,
  completion_tokens: 0,
  ttft_ms: null,
  inter_token_ms: null,
  queue_ms: null,
};

export function snapshotAt(at_ms: number, changes: Partial<LiveSnapshot> = {}): LiveSnapshot {
  return {
    sequence: 1,
    at_ms,
    version: '0.0.0',
    scope: 'all',
    sums: NO_SUMS,
    models: [],
    targets: [],
    queue: [],
    running: [],
    ended: [],
    ended_omitted: 0,
    ...changes,
  };
}

export function targetOf(name: string, changes: Partial<LiveTarget> = {}): LiveTarget {
  return {
    name,
    model: 'demo',
    backend: 'scripted',
    status: 'ready',
    loaded: true,
    health: 'ready',
    slots: 4,
    slots_used: 0,
    tokens_in_flight: 0,
    ejections: {},
    ...changes,
  };
}

const REQUEST = {
  model: 'demo',
  priority: 'normal',
  client: 'c1',
  prompt_tokens: 10,
  received_at_ms: 0,
  enqueued_at_ms: 0,
  attempt: 1,
} as const;

export function waiting(id: string, changes: Partial<LiveWaiting> = {}): LiveWaiting {
  return {
    ...REQUEST,
    id,
    request_id: `req_${id}`,
    position: 1,
    reason: 'no_free_slot',
    expires_at_ms: 30_000,
    eta_ms: null,
    ...changes,
  };
}

export function running(id: string, changes: Partial<LiveRunning> = {}): LiveRunning {
  return {
    ...REQUEST,
    id,
    request_id: `req_${id}`,
    target: 'one',
    slot: 0,
    batch: { id: 'batch_1', size: 1 },
    started_at_ms: 0,
    first_token_at_ms: null,
    completion_tokens: 0,
    ...changes,
  };
}

export function attempt(changes: Partial<LiveAttempt> = {}): LiveAttempt {
  return {
    target: 'one',
    slot: 0,
    model: 'demo',
    kind: null,
    batch: { id: 'batch_1', size: 1 },
    enqueued_at_ms: 0,
    started_at_ms: 0,
    first_token_at_ms: null,
    ended_at_ms: 100,
    outcome: 'completed',
    ...changes,
  };
}

export function receipt(id: string, changes: Partial<LiveReceipt> = {}): LiveReceipt {
  return {
    request_id: `req_${id}`,
    route: '/generate',
    status: 200,
    model: 'demo',
    served_model: null,
    priority: 'normal',
    client: 'c1',
    received_at_ms: 0,
    ended_at_ms: 100,
    error_code: null,
    finish_reason: 'stop',
    prompt_tokens: 10,
    cached_tokens: 0,
    completion_tokens: 5,
    timings: null,
    attempts: [],
    ...changes,
  };
}
