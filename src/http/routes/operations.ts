/** Liveness, readiness, metrics and the front page. None of them asks a backend, none is rate-limited. */
import { type Static, type TSchema, Type } from 'typebox';
import type { Clock } from '../../core/clock.ts';
import type { Telemetry } from '../../core/request-trace.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import { HEALTH_STATES, type HealthState } from '../../scheduling/target-health.ts';
import type { Serving } from '../../serving/serving.ts';
import { type EdgeRoute, pageRoute } from '../context.ts';

interface OperationsOptions {
  readonly clock: Clock;
  readonly serving: Serving;
  readonly telemetry: Telemetry;
  readonly version: string;
}

export interface DescribedOperation {
  readonly path: string;
  /** Absent: GET. */
  readonly method?: 'POST';
  /** In its path. */
  readonly parameter?: { readonly name: string; readonly description: string };
  readonly summary: string;
  readonly description?: string;
  /** By status. */
  readonly answers: Readonly<
    Record<number, { readonly description: string; readonly contentType: string; readonly schema: TSchema }>
  >;
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

const ReadyAnswer = Type.Object({
  status: Type.Enum(['ready', 'not_ready']),
  reason: Type.Optional(
    Type.Enum(['model_loading', 'model_not_found', 'backend_unreachable', 'backend_failed', 'draining']),
  ),
  models: Type.Array(ModelStatus),
});

export const json = (schema: TSchema) => ({
  description: 'Default Response',
  contentType: 'application/json',
  schema,
});

/** As the API description shows them; the front page is not in it. */
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
    path: '/metrics',
    summary: 'Prometheus metrics',
    answers: {
      200: { description: 'Metrics', contentType: 'text/plain', schema: Type.String() },
      401: json(ErrorAnswer),
      403: json(ErrorAnswer),
      508: json(ErrorAnswer),
    },
  },
];

export function operationsRoutes(options: OperationsOptions): readonly EdgeRoute[] {
  const { clock, serving, telemetry, version } = options;
  const startedAt = clock.now();
  return [
    pageRoute('/health', (context) => {
      const uptime_seconds = Math.floor((clock.now() - startedAt) / 1000);
      const health: Static<typeof HealthAnswer> = { status: 'ok', version, uptime_seconds };
      context.answerJson(200, health);
    }),
    pageRoute('/ready', (context) => {
      const readiness = serving.readiness();
      if (readiness.status === 'not_ready') {
        context.setHeader('retry-after', READINESS_RETRY_SECONDS);
        context.setHeader('x-reject-reason', readiness.reason ?? 'not_ready');
      }
      context.answerJson(readiness.status === 'ready' ? 200 : 503, readiness);
    }),
    pageRoute('/metrics', (context) => {
      const { contentType, text } = telemetry.metrics();
      context.answer(200, text, contentType);
    }),
    pageRoute('/', (context) => context.answer(200, frontPage(version), 'text/html; charset=utf-8')),
  ];
}

/** GET /: what this server is and where to go next. */
function frontPage(version: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>LLM Serving API</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }
  code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
  pre { background: #8881; padding: 0.75rem; overflow-x: auto; border-radius: 4px; }
  td { padding: 0.2rem 1rem 0.2rem 0; vertical-align: top; }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } a { color: #8bf; } }
</style>
<h1>LLM Serving API</h1>
<p>Version ${version}. The infrastructure layer in front of a language model.</p>
<table>
  <tr><td><code>POST /generate</code><td>a whole answer
  <tr><td><code>POST /stream</code><td>token by token, as server-sent events
  <tr><td><code>POST /embed</code><td>a vector for each text
  <tr><td><a href="/v1/models"><code>/v1/…</code></a><td>for clients of OpenAI (chat, completions, responses, embeddings) and Anthropic (messages)
  <tr><td><a href="/api/tags"><code>/api/…</code></a><td>for clients of Ollama
  <tr><td><a href="/health"><code>GET /health</code></a><td>the process is alive
  <tr><td><a href="/ready"><code>GET /ready</code></a><td>the model can be used
  <tr><td><a href="/metrics"><code>GET /metrics</code></a><td>Prometheus metrics
  <tr><td><a href="/docs"><code>GET /docs</code></a><td>the API, browsable (<a href="/openapi.json">openapi.json</a>)
</table>
<pre>curl http://localhost:8000/generate \\
  -H 'content-type: application/json' \\
  -d '{"prompt":"What is the capital of France?"}'</pre>
</html>
`;
}
