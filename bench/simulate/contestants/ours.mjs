// The real scheduler, with the options that compose.ts makes of the configuration's defaults.
const { Scheduler } = await import('../../../dist/scheduling/scheduler.js');
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

export function ours(backend, options = {}) {
  return new Ours(backend, { ...OPTIONS, ...options });
}

class Ours {
  #scheduler;
  #queueTimeoutMs = defaultOf('queue_timeout_ms');
  #jobs = new Map();

  constructor({ slots, cachesPrefixes }, options) {
    this.#scheduler = new Scheduler(options);
    this.#scheduler.setTarget({ ...TARGET, slots, cachesPrefixes, state: 'ready' }, 0);
    this.#scheduler.tick(0);
  }

  get waiting() {
    return this.#scheduler.waiting(MODEL).requests;
  }

  get running() {
    return this.#scheduler.running(MODEL);
  }

  arrive(job, now) {
    this.#jobs.set(job.id, job);
    this.#scheduler.enqueue(
      {
        id: job.id,
        model: MODEL,
        client: job.client,
        priority: job.priority,
        promptTokens: job.promptTokens,
        maxTokens: job.maxTokens ?? generation.properties.max_tokens.default,
        maxTokensIsDefault: job.maxTokens === undefined,
        prefix:
          job.messages && fingerprintOf({ kind: 'chat', messages: job.messages.map(messageOf) }, undefined),
        sizeBytes: job.promptTokens * BYTES_PER_TOKEN,
        expiresAt: Math.min(now + this.#queueTimeoutMs, job.deadlineMs),
        deadlineAt: job.deadlineMs,
      },
      now,
    );
  }

  /** Its client left while it waited. */
  leave(job, now) {
    this.#jobs.delete(job.id);
    this.#scheduler.cancel(job.id, now);
  }

  ended(job, settlement, now) {
    this.#scheduler.release(job.id, settlement, now);
  }

  decide(now) {
    const started = [];
    const rejected = [];
    for (const decision of this.#scheduler.tick(now)) {
      if (decision.type === 'reject') rejected.push({ job: this.#take(decision.id), code: decision.code });
      else started.push(...decision.batch.members.map(({ id }) => this.#take(id)));
    }
    return { started, rejected };
  }

  nextWakeAt() {
    return this.#scheduler.nextWakeAt();
  }

  #take(id) {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    return job;
  }
}

/** A text of that length that no other message has. */
function messageOf({ id, tokens }) {
  return { role: 'user', content: id.padEnd(tokens * BYTES_PER_TOKEN) };
}
