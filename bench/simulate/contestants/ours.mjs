// The real scheduler, with the options that compose.ts makes of the configuration's defaults.
const { ScheduledQueue } = await import('../../../dist/simulation/scheduled-queue.js');
const { fingerprintOf } = await import('../../../dist/scheduling/prefix-fingerprint.js');
const { ConfigSchema } = await import('../../../dist/config/schema.js');

const MODEL = 'model';
const TARGET = { id: 'target', model: MODEL };
const BYTES_PER_TOKEN = 4;
const { scheduler: defaults, generation } = ConfigSchema.properties;
const defaultOf = (name) => defaults.properties[name].default;

const OPTIONS = {
  mode: defaultOf('mode'),
  order: defaultOf('order'),
  maxBatchSize: defaultOf('max_batch_size'),
  windowMs: defaultOf('window_ms'),
  maxQueue: defaultOf('max_queue'),
  maxQueuePerClient: Number.POSITIVE_INFINITY,
  maxQueueBytes: defaultOf('max_queue_bytes'),
  maxBatchTokens: Number.POSITIVE_INFINITY,
  maxTokensInFlight: Number.POSITIVE_INFINITY,
  agingMs: defaultOf('aging_ms'),
  maxOvertakes: defaultOf('max_overtakes'),
  routing: { policy: 'load', prefixAffinity: true, random: Math.random },
};

export function ours({ slots, cachesPrefixes }, options = {}) {
  return new ScheduledQueue({
    scheduler: { ...OPTIONS, ...options },
    targets: [{ ...TARGET, slots, cachesPrefixes, state: 'ready' }],
    queueTimeoutMs: defaultOf('queue_timeout_ms'),
    queuedOf: (job) => ({
      model: MODEL,
      promptTokens: job.promptTokens,
      maxTokens: job.maxTokens ?? generation.properties.max_tokens.default,
      maxTokensIsDefault: job.maxTokens === undefined,
      prefix:
        job.messages && fingerprintOf({ kind: 'chat', messages: job.messages.map(messageOf) }, undefined),
      sizeBytes: job.promptTokens * BYTES_PER_TOKEN,
    }),
  });
}

/** A text of that length that no other message has. */
function messageOf({ id, tokens }) {
  return { role: 'user', content: id.padEnd(tokens * BYTES_PER_TOKEN) };
}
