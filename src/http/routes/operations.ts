/** Liveness, readiness, metrics and the front page. None of them touches a backend, none is rate-limited. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Clock } from '../../core/clock.ts';
import type { Telemetry } from '../../core/telemetry.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import type { Serving } from '../../serving/serving.ts';
import { frontPage } from '../front-page.ts';

export interface OperationsOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly telemetry: Telemetry;
  readonly version: string;
}

const READINESS_RETRY_SECONDS = '1';

const HealthAnswer = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptime_seconds: Type.Integer(),
});

const ModelStatus = Type.Object({
  id: Type.String(),
  status: Type.Enum(['ready', 'not_ready']),
  reason: Type.Optional(Type.String()),
  targets: Type.Array(
    Type.Object({
      backend: Type.String(),
      status: Type.Enum(['loading', 'ready', 'unloaded', 'unreachable', 'not_found', 'failed']),
      loaded: Type.Boolean(),
    }),
  ),
});

const ReadyAnswer = Type.Object({
  status: Type.Enum(['ready', 'not_ready']),
  reason: Type.Optional(
    Type.Enum(['model_loading', 'model_not_found', 'backend_unreachable', 'backend_failed', 'draining']),
  ),
  models: Type.Array(ModelStatus),
});

export function addOperationsRoutes(server: FastifyInstance, options: OperationsOptions): void {
  const { clock, serving, telemetry, version } = options;
  const startedAt = clock.now();

  server.get('/health', {
    schema: {
      summary: 'Liveness',
      description: 'The process answers. Touches no backend.',
      response: { 200: HealthAnswer, 403: ErrorAnswer },
    },
    handler: async (): Promise<Static<typeof HealthAnswer>> => {
      return { status: 'ok', version, uptime_seconds: Math.floor((clock.now() - startedAt) / 1000) };
    },
  });

  server.get('/ready', {
    schema: {
      summary: 'Readiness',
      description:
        'Whether the default model can be served now, and the state of every target, from background probes.',
      response: { 200: ReadyAnswer, 403: ErrorAnswer, 503: ReadyAnswer },
    },
    handler: async (_request, reply) => {
      const readiness = serving.readiness();
      if (readiness.status === 'not_ready') {
        reply.code(503).header('Retry-After', READINESS_RETRY_SECONDS);
        reply.header('X-Reject-Reason', readiness.reason ?? 'not_ready');
      }
      return readiness;
    },
  });

  server.get('/metrics', {
    schema: {
      summary: 'Prometheus metrics',
      response: {
        200: { description: 'Metrics', content: { 'text/plain': { schema: Type.String() } } },
        401: ErrorAnswer,
        403: ErrorAnswer,
      },
    },
    handler: async (_request, reply) => {
      const { contentType, text } = await telemetry.metrics();
      return reply.type(contentType).serializer(String).send(text);
    },
  });

  server.get('/', {
    schema: { hide: true },
    handler: async (_request, reply) =>
      reply.type('text/html; charset=utf-8').serializer(String).send(frontPage(version)),
  });
}
