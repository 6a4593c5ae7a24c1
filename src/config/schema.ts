/**
 * The one schema of the configuration: types, defaults, validation, flags, environment names, --help and the reference page all come
 * from it.
 */
import { type Static, Type } from 'typebox';
import { DEFAULT_TARGET } from '../backends/catalog.ts';
import {
  BATCH_DESCRIPTIONS,
  type BatchMode,
  DEFAULT_BATCH_MODE,
  DEFAULT_ORDER,
  ORDER_DESCRIPTIONS,
  type OrderMode,
} from '../scheduling/policies.ts';
import { DEFAULT_ROUTING, ROUTING_DESCRIPTIONS, type RoutingMode } from '../scheduling/routing.ts';
import { access, admin, auth, data, leases, limits, prices, usage } from './access-schema.ts';
import { logging, metrics, objectives, tracing } from './observation-schema.ts';

const scheduler = Type.Object(
  {
    mode: Type.Enum(Object.keys(BATCH_DESCRIPTIONS) as BatchMode[], {
      default: DEFAULT_BATCH_MODE,
      description: `When a batch leaves. ${listMeanings(BATCH_DESCRIPTIONS)}.`,
    }),
    order: Type.Enum(Object.keys(ORDER_DESCRIPTIONS) as OrderMode[], {
      default: DEFAULT_ORDER,
      description: `Who is next. ${listMeanings(ORDER_DESCRIPTIONS)}.`,
    }),
    max_batch_size: Type.Integer({
      minimum: 1,
      maximum: 4096,
      default: 16,
      description: 'Requests dispatched together at most.',
    }),
    window_ms: Type.Number({
      minimum: 0,
      maximum: 60_000,
      default: 5,
      description: 'In window mode: how long a batch collects at most.',
    }),
    max_queue: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 512,
      description:
        'Requests that may wait per model. When the queue is full, the newest request of the client with the most is rejected.',
    }),
    max_queue_per_client: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: 'Requests of one client that may wait per model; default: as many as fit.',
      }),
    ),
    max_queue_bytes: Type.Integer({
      minimum: 1,
      default: 67_108_864,
      description: 'Bytes of prompts that may wait per model.',
    }),
    max_batch_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Estimated tokens of a batch (prompts and answers); default: no bound.',
      }),
    ),
    max_tokens_in_flight: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'Estimated tokens of what runs on a target at the same time, beside its slots; default: no bound.',
      }),
    ),
    aging_ms: Type.Integer({
      minimum: 1,
      maximum: 86_400_000,
      default: 10_000,
      description: 'A request of a lower priority that has waited this long gets the next free slot.',
    }),
    max_overtakes: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 4,
      description:
        'So often at most a request is overtaken by one whose prompt continues what a slot of the embedded engine has cached; ' +
        '0: never.',
    }),
    high_priority_clients: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Addresses or CIDRs of clients that may ask for high priority.',
    }),
    queue_timeout_ms: Type.Integer({
      minimum: 1,
      maximum: 86_400_000,
      default: 60_000,
      description: 'The longest wait for a slot.',
    }),
  },
  { additionalProperties: false, default: {} },
);

/** The policies and their descriptions come from the scheduler. */
function listMeanings(meanings: Readonly<Record<string, string>>): string {
  return Object.entries(meanings)
    .map(([name, meaning]) => `${name}: ${meaning}`)
    .join('; ');
}

const closed = { additionalProperties: false, default: {} };

const server = Type.Object(
  {
    host: Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address to listen on.' }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65535,
      default: 8000,
      description: 'Port to listen on; 0 takes a free one.',
    }),
    workers: Type.Union([Type.Integer({ minimum: 1, maximum: 64 }), Type.Literal('auto')], {
      default: 1,
      description:
        'Processes that serve. With more than 1, one more process takes the connections and decides for all; auto: one for every two cores.',
    }),
    trusted_proxies: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Addresses or CIDRs of proxies whose X-Forwarded-For, or PROXY header, counts.',
    }),
    trusted_hops: Type.Integer({
      minimum: 0,
      maximum: 100,
      default: 0,
      description:
        'So many proxies in front append to X-Forwarded-For: the client is that entry from the right. With trusted_proxies, only where one of them connects; without, from every address: then nobody may reach the server past the proxies. 0: proxies are told by trusted_proxies alone.',
    }),
    proxy_protocol: Type.Enum(['off', 'optional', 'required'], {
      default: 'off',
      description:
        'Whether connections begin with a header of the PROXY protocol (version 1 or 2), which names the client. Only trusted_proxies may send one. optional: they may; required: every connection must come from one of them and have it.',
    }),
    cors_origins: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Origins of web pages that may call the API from a browser, such as https://example.com.',
    }),
    body_limit_bytes: Type.Integer({
      minimum: 1,
      default: 1_048_576,
      description: 'Largest body of the native routes.',
    }),
    media_body_limit_bytes: Type.Integer({
      minimum: 1,
      default: 20_971_520,
      description: 'Largest body of the OpenAI, Anthropic and Ollama routes, which may contain images.',
    }),
    max_body_bytes_in_flight: Type.Integer({
      minimum: 1,
      default: 268_435_456,
      description:
        'Bytes of all bodies that are being received at the same time; beyond it, the largest body of the client that sends most is rejected (503 server_busy).',
    }),
    max_connections: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 10_000,
      description: 'Open connections; one more is closed at once.',
    }),
    max_connections_per_address: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 1000,
      description:
        'Open connections of one client address; one more is closed at once. Trusted proxies and this machine are exempt.',
    }),
    body_timeout_seconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 15,
      description:
        'For a request’s headers and body to arrive. Of one that comes behind answers, it counts from when the last of them has left.',
    }),
    stream_buffer_bytes: Type.Integer({
      minimum: 1024,
      default: 262_144,
      description: 'Bytes buffered for a client that reads more slowly than the model generates.',
    }),
    stalled_reader_seconds: Type.Number({
      exclusiveMinimum: 0,
      default: 30,
      description:
        'A client that reads nothing of what waits for it for this long, at most twice as long, is disconnected.',
    }),
    heartbeat_seconds: Type.Number({
      exclusiveMinimum: 0,
      default: 15,
      description: 'Between the comments that keep a silent stream open.',
    }),
    shutdown_delay_seconds: Type.Number({
      minimum: 0,
      default: 5,
      description:
        'After SIGTERM, /ready returns 503 for this long while requests are still served, each with Connection: close. SIGINT does not wait.',
    }),
    shutdown_grace_seconds: Type.Number({
      minimum: 0,
      default: 20,
      description: 'Then open requests have this long to finish.',
    }),
  },
  closed,
);

const model = Type.Object(
  {
    id: Type.String({ minLength: 1, description: 'The name clients use.' }),
    aliases: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Other names for it, for clients with a fixed model name. Responses contain the id.',
    }),
    fallback_models: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        'Models that answer instead, in this order, where no target of this one can. X-Served-Model names the one that did.',
    }),
    /** Checked one by one against the keys of the backend that each names. */
    targets: Type.Array(Type.Object({ backend: Type.String({ minLength: 1 }) }), {
      minItems: 1,
      description: 'Backends that serve this model; see Targets.',
    }),
  },
  { additionalProperties: false },
);

const retry = Type.Object(
  {
    attempts: Type.Integer({
      minimum: 1,
      maximum: 10,
      default: 3,
      description:
        'How often one request is tried at most, by fallback models too, while its client has received nothing. Where a fallback model can answer, the last attempt is kept for it. 1: never again.',
    }),
    budget_percent: Type.Number({
      minimum: 0,
      maximum: 100,
      default: 20,
      description:
        'Retries at the same target, and those while all targets fail, are at most this part of recent requests. Failover to a healthy target does not count.',
    }),
    budget_per_second: Type.Number({
      minimum: 0,
      maximum: 100_000,
      default: 10,
      description: 'So many of them are allowed in any case.',
    }),
  },
  closed,
);

const routing = Type.Object(
  {
    policy: Type.Enum(Object.keys(ROUTING_DESCRIPTIONS) as RoutingMode[], {
      default: DEFAULT_ROUTING,
      description: `Which target of a model gets a request. ${listMeanings(ROUTING_DESCRIPTIONS)}.`,
    }),
    prefix_affinity: Type.Boolean({
      default: true,
      description:
        'Prompts that begin alike go to the same target, which has their beginning cached, unless it has too much to do.',
    }),
  },
  closed,
);

const rateLimit = Type.Object(
  {
    enabled: Type.Optional(
      Type.Boolean({
        description:
          'Limits the routes that use a model, per API key, and per address where there is none. Default: true, but false on loopback without keys (auth.api_keys, or keys of access.store) and server.trusted_proxies if no key of rate_limit is set. A request counts once, however many answers it requests: the scheduler limits those.',
      }),
    ),
    requests: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 60,
      description:
        'Admitted in any window, per key or address. A key that has a limit of its own for requests is not held to this one.',
    }),
    window_seconds: Type.Number({
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: 60,
      description: 'Length of the sliding window.',
    }),
    max_keys: Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      default: 100_000,
      description: 'Keys and addresses remembered; more share one window.',
    }),
  },
  closed,
);

const generation = Type.Object(
  {
    max_tokens: Type.Integer({
      minimum: 1,
      default: 256,
      description: 'Default of native requests, lowered to what the context leaves.',
    }),
    request_timeout_ms: Type.Integer({
      minimum: 1,
      maximum: 86_400_000,
      default: 300_000,
      description: 'The longest that a request may take. Clients can only shorten it.',
    }),
  },
  closed,
);

const cache = Type.Object(
  {
    directory: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Folder for model files; default: llm-serve in the XDG cache folder.',
      }),
    ),
    hub_url: Type.String({
      minLength: 1,
      default: 'https://huggingface.co',
      description: 'Where models named hf:… are downloaded from: Hugging Face, or a mirror of it.',
    }),
    allow_remote_pull: Type.Boolean({
      default: false,
      description: 'Clients may download catalogue models into the cache, with POST /api/pull.',
    }),
    allowed_folders: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        'Folders that may contain model files given by path, beside the cache folder. Empty: any folder.',
    }),
  },
  closed,
);

const DEFAULT_MODEL = { id: 'smollm2', targets: [DEFAULT_TARGET] };

export const ConfigSchema = Type.Object(
  {
    server,
    auth,
    access,
    admin,
    data,
    default_model: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'For requests that name no model; default: the first of models.',
      }),
    ),
    models: Type.Array(model, {
      minItems: 1,
      default: [DEFAULT_MODEL],
      description: 'What is served, and where.',
    }),
    compatibility: Type.Enum(['strict', 'lenient'], {
      default: 'strict',
      description:
        'For a field that a model’s backend does not support: strict rejects the request (400 unsupported_parameter), lenient drops the field and names it in X-Dropped-Parameters (a stream whose heartbeats began in the queue has sent its headers by then: the log names it).',
    }),
    scheduler,
    retry,
    resume: Type.Enum(['auto', 'off'], {
      default: 'auto',
      description:
        'auto: a stream whose target fails in the middle goes on elsewhere if that is exact (docs/reliability.md); off: it ends with its error.',
    }),
    routing,
    rate_limit: rateLimit,
    limits,
    leases,
    usage,
    prices,
    generation,
    logging,
    objectives,
    tracing,
    metrics,
    cache,
  },
  { additionalProperties: false },
);

export type ConfigValues = Static<typeof ConfigSchema>;
