// What scheduling costs per request, in process, without any input or output: one release, enqueue and tick beside a
// queue of a given depth and number of clients, one check of the sliding window beside a given number of others, and the
// fingerprint of a prompt.
import { packageVersions } from './machine.mjs';
import { show, summarize, table } from './statistics.mjs';

const { lineChart } = await import('../dist/chart/line-chart.js');
const { fingerprintOf } = await import('../dist/scheduling/prefix-fingerprint.js');
const { Scheduler } = await import('../dist/scheduling/scheduler.js');
const { MemoryLimitStore } = await import('../dist/limits/memory-limit-store.js');

/** At most so many nanoseconds at these depths. */
export const TARGET_NANOSECONDS = { 1000: 5000, 100000: 10_000 };
const DEPTHS = [10, 100, 1000, 10_000, 100_000];
/** From one client that has all of the queue to as many as there are requests; deadlines come in the order of arrival, or in none. */
const CASES = {
  one: { label: 'one client', clientsOf: () => 1 },
  mixed: { label: 'one client, mixed deadlines', clientsOf: () => 1, mixesDeadlines: true },
  hundred: { label: 'a hundred clients', clientsOf: (depth) => Math.min(100, depth) },
  all: { label: 'as many clients as requests', clientsOf: (depth) => depth },
  cached: {
    label: 'a hundred, prefixes cached',
    clientsOf: (depth) => Math.min(100, depth),
    cachesPrefixes: true,
  },
};
const KEYS = [1, 100_000];
/** Characters of a prompt. */
const PROMPTS = { 1000: 1000, 100000: 100, 1000000: 10 };
const OPERATIONS = 100_000;
const SLOTS = 64;
const LIMIT = 60;
const WINDOW_MS = 60_000;
const QUEUE_TIMEOUT_MS = 60_000;
const UNBOUNDED = Number.POSITIVE_INFINITY;

export async function run({ rounds }) {
  const measured = [];
  for (let round = 0; round < rounds; round += 1) {
    measured.push({
      queue: Object.fromEntries(DEPTHS.map((depth) => [depth, queueCosts(depth)])),
      window: Object.fromEntries(KEYS.map((keys) => [keys, windowCost(keys)])),
      fingerprint: Object.fromEntries(
        Object.entries(PROMPTS).map(([length, times]) => [length, fingerprintCost(Number(length), times)]),
      ),
    });
  }
  return {
    versions: packageVersions([]),
    settings: { rounds, operations: OPERATIONS, slots: SLOTS, limit: LIMIT, windowMs: WINDOW_MS },
    rounds: measured,
  };
}

function queueCosts(depth) {
  return Object.fromEntries(
    Object.entries(CASES).map(([name, { clientsOf, ...rest }]) => [
      name,
      queueCost({ depth, clients: clientsOf(depth), ...rest }),
    ]),
  );
}

/** Every operation: the oldest running request ends, a new one arrives, and the scheduler fills the slot. */
function queueCost({ depth, clients, mixesDeadlines = false, cachesPrefixes = false }) {
  const load = { clients, mixesDeadlines, prefixes: cachesPrefixes ? conversations(clients) : [] };
  const scheduler = new Scheduler({
    mode: 'eager',
    order: 'fair',
    maxBatchSize: 16,
    windowMs: 5,
    maxQueue: depth + SLOTS,
    maxQueuePerClient: UNBOUNDED,
    maxQueueBytes: UNBOUNDED,
    maxBatchTokens: UNBOUNDED,
    maxTokensInFlight: UNBOUNDED,
    agingMs: 10_000,
    maxOvertakes: 4,
    routing: { policy: 'load', prefixAffinity: true, random: Math.random },
  });
  scheduler.setTarget({ id: 'target', model: 'model', slots: SLOTS, cachesPrefixes, state: 'ready' }, 0);
  const running = [];
  const tick = (now) => {
    for (const decision of scheduler.tick(now)) {
      if (decision.type !== 'dispatch') throw new Error(`a request was refused: ${decision.code}`);
      for (const { id } of decision.batch.members) running.push(id);
    }
  };
  for (let index = 0; index < depth + SLOTS; index += 1) scheduler.enqueue(entryOf(index, load, 0), 0);
  tick(0);
  return nanosecondsEach((index) => {
    const now = index / 1000;
    scheduler.release(running[index], SETTLEMENT, now);
    scheduler.enqueue(entryOf(index + depth + SLOTS, load, now), now);
    tick(now);
  });
}

const SETTLEMENT = { outcome: 'completed', promptTokens: 20, answerTokens: 100, firstTokenMs: 1 };

function entryOf(index, { clients, mixesDeadlines, prefixes }, now) {
  const patienceMs = mixesDeadlines
    ? QUEUE_TIMEOUT_MS + ((index * 7919) % QUEUE_TIMEOUT_MS)
    : QUEUE_TIMEOUT_MS;
  return {
    id: `entry_${index}`,
    model: 'model',
    client: `client_${index % clients}`,
    priority: 'normal',
    promptTokens: 20,
    maxTokens: 16 + ((index * 7919) % 240),
    maxTokensIsDefault: false,
    prefix: prefixes[index % clients],
    sizeBytes: 80,
    expiresAt: now + patienceMs,
    deadlineAt: now + 5 * QUEUE_TIMEOUT_MS,
  };
}

/** Each client talks at length about something of its own, after the same beginning for all. */
function conversations(clients) {
  return Array.from({ length: clients }, (_, client) => {
    const messages = Array.from({ length: 40 }, (_, index) => ({
      role: 'user',
      content: `message ${index} of ${index === 0 ? 'all' : client}`.padEnd(200),
    }));
    return fingerprintOf({ kind: 'chat', messages }, undefined);
  });
}

function fingerprintCost(length, times) {
  const prompt = 'All that was said before. '.repeat(length / 26 + 1).slice(0, length);
  // As they come out of a body.
  const texts = Array.from({ length: times }, (_, index) => JSON.parse(JSON.stringify(`${index} ${prompt}`)));
  const startedAt = performance.now();
  let boundaries = 0;
  for (const text of texts)
    boundaries += fingerprintOf({ kind: 'text', prompt: text }, undefined).ends.length;
  if (boundaries === 0) throw new Error('a prompt has no boundaries');
  return ((performance.now() - startedAt) * 1e3) / times;
}

/** Every client sends just under its limit, so each check expires one admission and counts another. */
function windowCost(keys) {
  let now = 0;
  const clock = { now: () => now, wallNow: () => now };
  const store = new MemoryLimitStore({ clock, maxKeys: () => keys });
  const bound = { kind: 'window', limit: LIMIT, windowMs: WINDOW_MS };
  const names = Array.from(
    { length: keys },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  );
  const stepMs = WINDOW_MS / (keys * (LIMIT - 1));
  const fill = keys * LIMIT;
  const check = (index) => {
    now = index * stepMs;
    return store.decide([{ counter: `address:${names[index % keys]}:rate_limit`, bound, amount: 1 }]);
  };
  for (let index = 0; index < fill; index += 1) check(index);
  return nanosecondsEach((index) => {
    if (check(fill + index).admission === undefined) throw new Error('a client below its limit was refused');
  });
}

function nanosecondsEach(operation) {
  const startedAt = performance.now();
  for (let index = 0; index < OPERATIONS; index += 1) operation(index);
  return ((performance.now() - startedAt) * 1e6) / OPERATIONS;
}

export function report({ rounds }) {
  const over = (read) => show(summarize(rounds.map(read)));
  const depthRow = (depth) => [
    depth.toLocaleString('en'),
    ...Object.keys(CASES).map((name) => over(({ queue }) => queue[depth][name])),
    TARGET_NANOSECONDS[depth]?.toLocaleString('en') ?? '',
  ];
  const keysRow = (keys) => [keys.toLocaleString('en'), over(({ window }) => window[keys])];
  const promptRow = (length) => [
    Number(length).toLocaleString('en'),
    over(({ fingerprint }) => fingerprint[length]),
  ];
  return [
    '**Release + enqueue + tick, nanoseconds, by requests that wait and clients they are from:**',
    '',
    table(['waiting', ...Object.values(CASES).map(({ label }) => label), 'at most'], DEPTHS.map(depthRow)),
    '',
    '![Cost of scheduling one request](charts/scheduling-cost.svg)',
    '',
    '**Check of the rate limit, nanoseconds, by clients:**',
    '',
    table(['clients', 'check'], KEYS.map(keysRow)),
    '',
    '**Fingerprint of a prompt, for targets that cache prefixes, microseconds, by its length:**',
    '',
    table(['characters', 'fingerprint'], Object.keys(PROMPTS).map(promptRow)),
  ].join('\n');
}

export function charts({ rounds }) {
  const pointsOf = (name) =>
    DEPTHS.map((depth) => {
      const { median, min, max } = summarize(rounds.map(({ queue }) => queue[depth][name] / 1000));
      return { x: depth, y: median, low: min, high: max };
    });
  return {
    'scheduling-cost': lineChart({
      title: 'What scheduling one request costs',
      subtitle: 'measured: one release, enqueue and tick beside so many waiting requests',
      x: { label: 'requests that wait (logarithmic)', type: 'log', min: 8, max: 130_000, ticks: DEPTHS },
      y: { label: 'microseconds', min: 0, max: 12 },
      series: Object.entries(CASES).map(([name, { label }], style) => ({
        label,
        style,
        points: pointsOf(name),
      })),
      target: { value: 10, label: 'at most 10 µs at 100,000' },
    }),
  };
}
