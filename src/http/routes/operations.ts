/** Liveness, readiness and metrics. None of them asks a backend, none is rate-limited. */

import { type Static, type TSchema, Type } from 'typebox';
import type { Clock } from '../../core/clock.ts';
import type { Telemetry } from '../../core/request-trace.ts';
import type { SharedLimits as SharedLimitsState } from '../../core/shared-limits.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import { HEALTH_STATES, type HealthState } from '../../scheduling/target-health.ts';
import type { LeaseState } from '../../serving/lease-state.ts';
import type { Serving } from '../../serving/serving.ts';
import type { WorkersState } from '../../serving/workers-state.ts';
import { type EdgeRoute, pageRoute } from '../context.ts';
import { ScrapePlaces } from '../scrape-places.ts';
import { LeasedSlots } from './leased-slots-schema.ts';
import { SharedLimits } from './shared-limits-schema.ts';

interface OperationsOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly version: string;
  /** Undefined: slots are not leased, or that cannot be said now. */
  readonly leases: () => LeaseState | undefined | Promise<LeaseState | undefined>;
  /** Undefined: each server counts for itself, or that cannot be said now. */
  readonly sharedLimits: () => SharedLimitsState | undefined | Promise<SharedLimitsState | undefined>;
  /** Absent: this process is the only one. */
  readonly workers?: (() => WorkersState) | undefined;
}

export interface QueryParameter {
  readonly name: string;
  readonly schema: TSchema;
}

export interface DescribedOperation {
  readonly path: string;
  /** Absent: GET. */
  readonly method?: 'POST' | 'PATCH';
  /** In its path. */
  readonly parameter?: { readonly name: string; readonly description: string };
  /** In its query; each may be absent. */
  readonly query?: readonly QueryParameter[];
  /** In JSON. */
  readonly body?: {
    readonly schema: TSchema;
    /** Without one it does as with `{}`. */
    readonly isOptional?: boolean;
    /** By their names. */
    readonly examples: Readonly<Record<string, unknown>>;
  };
  readonly summary: string;
  readonly description?: string;
  /** By status. */
  readonly answers: Readonly<
    Record<
      number,
      {
        readonly description: string;
        readonly contentType: string;
        readonly schema: TSchema;
        /** By content type. */
        readonly others?: Readonly<Record<string, TSchema>>;
      }
    >
  >;
}

export const METRICS_PATH = '/metrics';

const READINESS_RETRY_SECONDS = '1';

const STALLED = { status: 'not_ready', reason: 'stalled' } as const;

const HealthAnswer = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptime_seconds: Type.Integer(),
});

const ModelStatus = Type.Object({
  id: Type.String(),
  status: Type.Enum(['ready', 'not_ready']),
  reason: Type.Optional(Type.String()),
  fallback: Type.Optional(Type.String({ description: 'The model that answers for it meanwhile.' })),
  targets: Type.Array(
    Type.Object({
      name: Type.String(),
      backend: Type.String(),
      status: Type.Enum(['loading', 'ready', 'unloaded', 'unreachable', 'not_found', 'failed']),
      loaded: Type.Boolean(),
      health: Type.Enum(Object.keys(HEALTH_STATES) as HealthState[]),
    }),
  ),
});

const SlotLeases = Type.Object(
  {
    store: Type.Enum(['up', 'away']),
    targets: Type.Array(
      Type.Object({
        shared: Type.String({ description: 'The target, as all servers know it.' }),
        ...LeasedSlots.properties,
      }),
    ),
  },
  { description: 'Only with leases.store.' },
);

const Workers = Type.Object(
  {
    status: Type.Enum(['complete', 'degraded', 'stalled'], {
      description:
        '`degraded`: some do not serve. `stalled`: the process that decides for all does not answer.',
    }),
    configured: Type.Integer(),
    serving: Type.Integer(),
  },
  { description: 'Only with server.workers above 1.' },
);

const ReadyAnswer = Type.Object({
  status: Type.Enum(['ready', 'not_ready']),
  reason: Type.Optional(
    Type.Enum([
      'model_loading',
      'model_not_found',
      'backend_unreachable',
      'backend_failed',
      'lease_store_away',
      'draining',
      'stalled',
    ]),
  ),
  models: Type.Array(ModelStatus),
  slot_leases: Type.Optional(SlotLeases),
  shared_limits: Type.Optional(SharedLimits),
  workers: Type.Optional(Workers),
});

export const json = (schema: TSchema) => ({
  description: 'Default Response',
  contentType: 'application/json',
  schema,
});

/** As the API description shows them. */
export const DESCRIBED_OPERATIONS: readonly DescribedOperation[] = [
  {
    path: '/health',
    summary: 'Liveness',
    description: 'The process answers. Touches no backend.',
    answers: { 200: json(HealthAnswer), 403: json(ErrorAnswer), 508: json(ErrorAnswer) },
  },
  {
    path: '/ready',
    summary: 'Readiness',
    description:
      'Whether the default model, or a fallback model in its place, can be served now, and the state of every target, from background probes.',
    answers: {
      200: json(ReadyAnswer),
      403: json(ErrorAnswer),
      503: json(ReadyAnswer),
      508: json(ErrorAnswer),
    },
  },
  {
    path: METRICS_PATH,
    summary: 'Prometheus metrics',
    answers: {
      200: { description: 'Metrics', contentType: 'text/plain', schema: Type.String() },
      401: json(ErrorAnswer),
      403: json(ErrorAnswer),
      429: json(ErrorAnswer),
      503: json(ErrorAnswer),
      508: json(ErrorAnswer),
    },
  },
];

export function operationsRoutes(options: OperationsOptions): readonly EdgeRoute[] {
  const { clock, serving, version, leases, sharedLimits, workers } = options;
  const startedAt = clock.now();
  return [
    pageRoute('/health', (context) => {
      const uptime_seconds = Math.floor((clock.now() - startedAt) / 1000);
      const health: Static<typeof HealthAnswer> = { status: 'ok', version, uptime_seconds };
      context.answerJson(200, health);
    }),
    pageRoute('/ready', async (context) => {
      const [slot_leases, shared_limits] = await Promise.all([leases(), sharedLimits()]);
      const shownWorkers = workers && workersAnswer(workers());
      const readiness = {
        ...serving.readiness(slot_leases),
        ...(shownWorkers?.status === 'stalled' && STALLED),
        ...(slot_leases && { slot_leases }),
        // Without it limits are decided by another rule: nothing that a balancer is to act on.
        ...(shared_limits && { shared_limits }),
        ...(shownWorkers && { workers: shownWorkers }),
      };
      if (readiness.status === 'not_ready') {
        context.setHeader('retry-after', READINESS_RETRY_SECONDS);
        context.setHeader('x-reject-reason', readiness.reason ?? 'not_ready');
      }
      context.answerJson(readiness.status === 'ready' ? 200 : 503, readiness);
    }),
  ];
}

function workersAnswer({ configured, serving, isStalled }: WorkersState): Static<typeof Workers> {
  if (isStalled) return { status: 'stalled', configured, serving };
  return { status: serving < configured ? 'degraded' : 'complete', configured, serving };
}

export function metricsRoutes({ telemetry }: { readonly telemetry: Telemetry }): readonly EdgeRoute[] {
  const places = new ScrapePlaces();
  return [
    pageRoute(METRICS_PATH, async (context) => {
      places.take(context);
      const { contentType, text } = await telemetry.metrics();
      context.answer(200, text, contentType);
    }),
  ];
}
