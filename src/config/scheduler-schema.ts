/** The scheduler's part of the configuration schema; its policies and what they mean come from their catalogues. */
import { Type } from 'typebox';
import { BATCH_MEANINGS, type BatchMode, DEFAULT_BATCH_MODE } from '../scheduling/batch-policy.ts';
import { DEFAULT_ORDER, ORDER_MEANINGS, type OrderMode } from '../scheduling/order-policy.ts';

export const scheduler = Type.Object(
  {
    mode: Type.Enum(Object.keys(BATCH_MEANINGS) as BatchMode[], {
      default: DEFAULT_BATCH_MODE,
      description: `When a batch leaves. ${listMeanings(BATCH_MEANINGS)}.`,
    }),
    order: Type.Enum(Object.keys(ORDER_MEANINGS) as OrderMode[], {
      default: DEFAULT_ORDER,
      description: `Who is next. ${listMeanings(ORDER_MEANINGS)}.`,
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
        'Requests that may wait per model; beyond it the newest of whoever takes up most has to go.',
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
      description: 'When a lower priority was passed over for so long, the next free slot is its.',
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

function listMeanings(meanings: Readonly<Record<string, string>>): string {
  return Object.entries(meanings)
    .map(([name, meaning]) => `${name}: ${meaning}`)
    .join('; ');
}
