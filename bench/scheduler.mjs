// What scheduling costs per request, in process, without any input or output: one enqueue, tick and release beside a
// queue of a given depth, and one check of the sliding window beside a given number of other clients.
import { packageVersions } from './machine.mjs';
import { show, summarize, table } from './statistics.mjs';

const { Scheduler } = await import('../dist/scheduling/scheduler.js');
const { SlidingWindow } = await import('../dist/scheduling/sliding-window.js');

const DEPTHS = [1000, 100_000];
const KEYS = [1, 100_000];
const OPERATIONS = 100_000;
const SLOTS = 64;
const LIMIT = 60;
const WINDOW_MS = 60_000;
const QUEUE_TIMEOUT_MS = 60_000;

export async function run({ rounds }) {
  const measured = [];
  for (let round = 0; round < rounds; round += 1) {
    measured.push({
      queue: Object.fromEntries(DEPTHS.map((depth) => [depth, queueCost(depth)])),
      window: Object.fromEntries(KEYS.map((keys) => [keys, windowCost(keys)])),
    });
  }
  return {
    versions: packageVersions([]),
    settings: { rounds, operations: OPERATIONS, slots: SLOTS, limit: LIMIT, windowMs: WINDOW_MS },
    rounds: measured,
  };
}

/** Every operation: the oldest running request ends, a new one arrives, and the scheduler fills the slot. */
function queueCost(depth) {
  const scheduler = new Scheduler({
    mode: 'eager',
    order: 'fair',
    maxBatchSize: 16,
    windowMs: 5,
    maxQueue: depth + SLOTS,
    maxQueuePerClient: Infinity,
    maxQueueBytes: Infinity,
    maxBatchTokens: Infinity,
    maxTokensInFlight: Infinity,
    agingMs: 10_000,
  });
  scheduler.setTarget({ id: 'target', model: 'model', slots: SLOTS, state: 'ready' }, 0);
  const enqueue = (index) =>
    scheduler.enqueue(
      {
        id: `entry_${index}`,
        model: 'model',
        client: names[index % clients],
        priority: 'normal',
        promptTokens: 20,
        maxTokens: 16 + ((index * 7919) % 240),
        maxTokensIsDefault: false,
        sizeBytes: 80,
        expiresAt: index / 1000 + QUEUE_TIMEOUT_MS,
        deadlineAt: index / 1000 + 5 * QUEUE_TIMEOUT_MS,
      },
      index / 1000,
    );
  for (let index = 0; index < depth + SLOTS; index += 1) enqueue(index);
  scheduler.tick(0);
  return nanosecondsEach((index) => {
    const now = index / 1000;
    scheduler.release(`entry_${index}`, 'completed', now);
    enqueue(index + depth + SLOTS);
    const dispatched = scheduler.tick(now)[0];
    if (dispatched?.type !== 'dispatch') throw new Error('a free slot was not given to the next request');
  });
}

/** Every client sends just under its limit, so each check expires one admission and counts another. */
function windowCost(keys) {
  const window = new SlidingWindow({ limit: LIMIT, windowMs: WINDOW_MS, maxKeys: keys });
  const names = Array.from(
    { length: keys },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  );
  const stepMs = WINDOW_MS / (keys * (LIMIT - 1));
  const fill = keys * LIMIT;
  const check = (index) => window.check(names[index % keys], index * stepMs);
  for (let index = 0; index < fill; index += 1) check(index);
  return nanosecondsEach((index) => {
    if (!check(fill + index).admitted) throw new Error('a client below its limit was refused');
  });
}

function nanosecondsEach(operation) {
  const startedAt = performance.now();
  for (let index = 0; index < OPERATIONS; index += 1) operation(index);
  return ((performance.now() - startedAt) * 1e6) / OPERATIONS;
}

export function report({ rounds }) {
  const row = (label, read) => [label, show(summarize(rounds.map(read)))];
  return table(
    ['', 'nanoseconds'],
    [
      ...DEPTHS.map((depth) =>
        row(`enqueue + tick + release, ${depth.toLocaleString('en')} waiting`, ({ queue }) => queue[depth]),
      ),
      ...KEYS.map((keys) =>
        row(
          `rate-limit check, ${keys.toLocaleString('en')} ${keys === 1 ? 'client' : 'clients'}`,
          ({ window }) => window[keys],
        ),
      ),
    ],
  );
}
