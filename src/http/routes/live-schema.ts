/** The schema of a live snapshot, for the API description. The compiler holds it against core/live-snapshot.ts. */

import { type Static, type TSchema, Type } from 'typebox';
import { type LiveSnapshot, WAITING_REASONS } from '../../core/live-snapshot.ts';
import { PRIORITIES } from '../../core/priority.ts';
import { ErrorAnswer } from '../../protocols/catalog.ts';
import { TimingsSchema } from '../../protocols/rendering.ts';
import { LeasedSlots } from './leased-slots-schema.ts';
import { type DescribedOperation, json } from './operations.ts';
import { SharedLimits } from './shared-limits-schema.ts';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);
const EpochMs = Type.Number({ description: 'Milliseconds since the Unix epoch, by the server’s clock.' });
const MaybeMs = nullable(Type.Number());
const MaybeEpochMs = nullable(EpochMs);
const Text = Type.String();
const MaybeText = nullable(Text);
const Count = Type.Integer({ minimum: 0 });
const MaybeCount = nullable(Count);
const PriorityName = Type.Enum([...PRIORITIES]);
const Batch = Type.Object({ id: Text, size: Count });
const SlotNumber = Type.Integer({
  minimum: 0,
  description: 'Of the slot at its target: the lowest that was free when it began.',
});
const Counts = (description: string) => Type.Record(Type.String(), Count, { description });

const Percentiles = nullable(
  Type.Object({ p50: Type.Number(), p90: Type.Number(), p99: Type.Number(), count: Count }),
);

const Sums = Type.Object(
  {
    window_seconds: Type.Number(),
    finished: Count,
    within_objectives: Type.Integer({
      description: 'Of the finished: within the objectives of the configuration.',
    }),
    objectives: Type.Object(
      { ttft_ms: MaybeMs, tpot_ms: MaybeMs, e2e_ms: MaybeMs },
      { description: 'Of the configuration. null: not asked for.' },
    ),
    cancelled: Count,
    failed: Count,
    rejected: Counts('By error code: requests answered 429 or 503.'),
    prompt_tokens: Count,
    cached_tokens: Count,
    completion_tokens: Count,
    ttft_ms: Percentiles,
    inter_token_ms: Percentiles,
    queue_ms: Percentiles,
  },
  {
    description:
      'Of all callers’ requests, over the last window_seconds: a minute, or since somebody began to look. Percentiles are within 4 %.',
  },
);

const Model = Type.Object({ id: Text, waiting: Count, running: Count });

const Target = Type.Object({
  name: Text,
  model: Text,
  backend: Text,
  status: Type.String({ description: 'As in GET /ready.' }),
  loaded: Type.Boolean(),
  health: Text,
  slots: Count,
  slots_used: Count,
  tokens_in_flight: Type.Number(),
  ejections: Counts('By cause.'),
  lease: Type.Optional(LeasedSlots),
});

const requestFields = {
  id: Type.String({
    description: 'Of the entry in the queue: choices and tries of a request have one each.',
  }),
  request_id: Text,
  model: Text,
  priority: PriorityName,
  client: Type.String({ description: 'Opaque: the same for all requests of a client.' }),
  prompt_tokens: Type.Integer({ description: 'An estimate until the backend reports it.' }),
  received_at_ms: EpochMs,
  enqueued_at_ms: EpochMs,
  attempt: Type.Integer({ minimum: 1 }),
};

const Waiting = Type.Object({
  ...requestFields,
  position: Type.Integer({ minimum: 1 }),
  reason: Type.Enum([...WAITING_REASONS]),
  expires_at_ms: Type.Number({ description: 'When its wait ends without a slot.' }),
  eta_ms: nullable(Type.Number({ description: 'An estimate.' })),
});

const Running = Type.Object({
  ...requestFields,
  target: Text,
  slot: SlotNumber,
  batch: Batch,
  started_at_ms: EpochMs,
  first_token_at_ms: MaybeEpochMs,
  completion_tokens: Type.Integer({ description: 'So far.' }),
});

const Attempt = Type.Object({
  target: Text,
  slot: SlotNumber,
  model: Text,
  kind: MaybeText,
  batch: Batch,
  enqueued_at_ms: EpochMs,
  started_at_ms: EpochMs,
  first_token_at_ms: MaybeEpochMs,
  ended_at_ms: MaybeEpochMs,
  outcome: MaybeText,
});

const Receipt = Type.Object({
  request_id: Text,
  route: Text,
  status: Type.Integer(),
  model: MaybeText,
  served_model: MaybeText,
  priority: nullable(PriorityName),
  client: Text,
  received_at_ms: EpochMs,
  ended_at_ms: EpochMs,
  error_code: MaybeText,
  finish_reason: MaybeText,
  prompt_tokens: MaybeCount,
  cached_tokens: MaybeCount,
  completion_tokens: MaybeCount,
  timings: nullable(TimingsSchema),
  attempts: Type.Array(Attempt),
});

const Snapshot = Type.Object({
  sequence: Type.Integer({
    description: 'Grows by 1 in a stream; a gap: the reader was too slow for those between.',
  }),
  at_ms: EpochMs,
  version: Text,
  scope: Type.Enum(['all', 'own'], {
    description: 'own: of the requests of others only the sums are shown.',
  }),
  sums: Sums,
  models: Type.Array(Model),
  targets: Type.Array(Target),
  shared_limits: Type.Optional(SharedLimits),
  queue: Type.Array(Waiting, { description: 'In the order in which they would be served now.' }),
  running: Type.Array(Running),
  ended: Type.Array(Receipt, { description: 'Since the snapshot before, oldest first.' }),
  ended_omitted: Count,
});

/** Schemas make types that can be written. */
type Writable<Value> = Value extends object
  ? { -readonly [Key in keyof Value]: Writable<Value[Key]> }
  : Value;
/** Never where a snapshot could be something that is not described. */
type Described = Writable<LiveSnapshot> extends Static<typeof Snapshot> ? typeof Snapshot : never;
const described: Described = Snapshot;

export const DESCRIBED_LIVE: readonly DescribedOperation[] = [
  {
    path: '/live',
    summary: 'What the server is doing now',
    description:
      'A stream of snapshots (event: snapshot), whenever something has changed; with Accept: application/json the one of now. ' +
      'A key of auth.admin_keys sees all requests, any other key its own. A reader that is slow loses snapshots.',
    query: [
      {
        name: 'interval_ms',
        schema: Type.Integer({
          minimum: 100,
          maximum: 5000,
          default: 250,
          description:
            'The shortest time between two snapshots, rounded up to 100, 250, 500, 1000, 2000 or 5000.',
        }),
      },
    ],
    answers: {
      200: {
        description: 'Each event’s data is a snapshot',
        contentType: 'text/event-stream',
        schema: described,
        others: { 'application/json': described },
      },
      400: json(ErrorAnswer),
      401: json(ErrorAnswer),
      403: json(ErrorAnswer),
      429: json(ErrorAnswer),
      503: json(ErrorAnswer),
      508: json(ErrorAnswer),
    },
  },
];
