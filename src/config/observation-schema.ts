/** The part of the configuration's schema that is about watching the server: logs, metrics, traces, and what counts as in time. */
import { Type } from 'typebox';

const closed = { additionalProperties: false, default: {} } as const;

export const logging = Type.Object(
  {
    level: Type.Enum(['debug', 'info', 'warn', 'error', 'silent'], {
      default: 'info',
      description: 'The least severe level that is written.',
    }),
    format: Type.Enum(['auto', 'pretty', 'json'], {
      default: 'auto',
      description: 'auto: a readable line each on a terminal, JSON lines otherwise.',
    }),
  },
  closed,
);

const limitMs = (description: string) => Type.Optional(Type.Number({ exclusiveMinimum: 0, description }));

export const objectives = Type.Object(
  {
    ttft_ms: limitMs('From arrival to the first token.'),
    tpot_ms: limitMs('Mean time per output token after the first.'),
    e2e_ms: limitMs('From arrival to the end of the answer.'),
  },
  {
    ...closed,
    description:
      'When a finished request counts for the goodput: within all that are set. Measured only; nothing is scheduled or rejected by it.',
  },
);

export const tracing = Type.Object(
  {
    endpoint: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Base address of an OTLP receiver (HTTP), without user, password or query; spans are posted to its /v1/traces. Unset: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT; without any, no spans are made.',
      }),
    ),
    headers: Type.Record(Type.String(), Type.String({ secret: true }), {
      default: {},
      secret: true,
      description:
        'Sent with every export, for receivers that ask for a key; beside those of OTEL_EXPORTER_OTLP_HEADERS.',
    }),
    sample_ratio: Type.Number({
      minimum: 0,
      maximum: 1,
      default: 1,
      description:
        'Part of the requests without a trace of their own that are traced; others follow their caller.',
    }),
    content: Type.Boolean({
      default: false,
      description: 'Spans contain prompts and answers, for everybody who may read the traces.',
    }),
  },
  closed,
);

export const metrics = Type.Object(
  {
    vllm_names: Type.Boolean({
      default: false,
      description:
        'GET /metrics also has the main series under the names of vLLM (vllm:num_requests_waiting …), for dashboards and autoscalers made for it.',
    }),
    open: Type.Boolean({
      default: false,
      description:
        'GET /metrics needs no key, for scrapers that cannot send one, such as the endpoint picker of an InferencePool. It shows models, targets and teams; let a network policy decide who reaches it. Not with admin.metrics.',
    }),
  },
  closed,
);
