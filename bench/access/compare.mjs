// What keys, limits and usage cost: in process the check of a key, a decision of four limits, and the note of what a request used; and the
// gateway with all of it, against the same gateway without. The two servers take turns, three pairs of them; the figure to quote is the
// ratio within a round.
import { packageVersions } from '../machine.mjs';
import { cpuPerUnit } from '../process-usage.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';
import { show, table } from '../statistics.mjs';
import { atMost, target } from '../targets.mjs';
import { startWorker } from '../worker.mjs';

const { KeyRing } = await import('../../dist/access/key-ring.js');
const { hashOfKey, newKeyText } = await import('../../dist/access/key-text.js');
const { MemoryLimitStore } = await import('../../dist/limits/memory-limit-store.js');
const { LimitPlan } = await import('../../dist/limits/limit-plan.js');
const { UsageAccumulator } = await import('../../dist/usage/usage-accumulator.js');
const { Prices } = await import('../../dist/usage/prices.js');

export const perNode = true;
const KEYS = 100_000;
const CONNECTIONS = 32;
const PAIRS = 3;
const KEY = 'the-key-of-the-benchmark';
const PATH = '/v1/chat/completions';
const BODY = JSON.stringify({
  model: 'bench',
  stream: true,
  stream_options: { include_usage: true },
  temperature: 0,
  max_tokens: 8,
  messages: [{ role: 'user', content: 'What is the capital of France?' }],
});
const MANY = 1_000_000;
const FOUR_LIMITS = {
  requests_per_minute: MANY,
  requests_per_hour: 100 * MANY,
  tokens_per_minute: 1000 * MANY,
  tokens_per_day: 100_000 * MANY,
};
const FLAGS = {
  off: ['--rate-limit.enabled', 'false', '--usage.enabled', 'false'],
  on: [
    ...['--auth.api-keys', JSON.stringify([KEY])],
    ...['--limits.per-key', JSON.stringify(FOUR_LIMITS)],
    ...['--prices.models', JSON.stringify({ bench: { prompt: 1, completion: 2 } })],
  ],
};
const CASES = {
  key: { label: 'check of a key', bound: 2000 },
  decision: { label: 'decision of four limits', bound: 2000 },
  lines: { label: 'only adding 1 in each of the 17 cache lines of such a decision' },
  usage: { label: 'note of what was used', bound: 3000 },
};
/** Of a decision of four limits: the list, and of each a charge, a place, a record and a block. */
const LINES_OF_DECISION = 17;
const TARGET = atMost(1.1);

export async function run({ rounds, operations, requests, node }) {
  const calls = inProcess();
  const costs = () =>
    Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, costOf(call, operations)]));
  return withPrograms(async (keep) => {
    const load = keep(await startWorker(new URL('../load.mjs', import.meta.url)));
    const upstream = keep(await startWorker(new URL('../gateway/upstream.mjs', import.meta.url)));
    const upstreamUrl = `http://127.0.0.1:${upstream.hello.port}`;
    const measured = [];
    for (let pair = 0; pair < PAIRS; pair += 1)
      measured.push(
        ...(await measurePair({ load, upstreamUrl, node, costs, requests, rounds: rounds / PAIRS })),
      );
    return {
      versions: packageVersions(['undici', '@photostructure/sqlite'], node),
      settings: { rounds, operations, requests, keys: KEYS, connections: CONNECTIONS, pairs: PAIRS },
      rounds: measured,
    };
  });
}

/** Some processes are faster than others all their life, whatever they do: each pair is started anew. */
async function measurePair({ load, upstreamUrl, node, costs, requests, rounds }) {
  return withPrograms(async (keep) => {
    const servers = [];
    for (const [name, flags] of Object.entries(FLAGS))
      servers.push({ name, ...keep(await startOurs({ upstreamUrl, node, flags })) });
    const measureRound = async (round) => {
      const result = { costs: costs() };
      for (const { name, url, pid } of rotate(servers, round)) {
        // Both get the key, which one of them does not look at.
        const order = {
          url,
          path: PATH,
          body: BODY,
          connections: CONNECTIONS,
          headers: { 'x-api-key': KEY },
        };
        const { cpu } = await cpuPerUnit({ pid, units: requests }, () => load.ask({ ...order, requests }));
        result[name] = { cpu };
      }
      return result;
    };
    // Not counted: a round in which everything is compiled by then.
    await measureRound(0);
    return inRounds(Math.max(1, Math.round(rounds)), measureRound);
  });
}

/** Nanoseconds of CPU time each. */
function costOf(call, operations) {
  const before = process.cpuUsage();
  for (let count = 0; count < operations; count += 1) call(count);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / operations;
}

/** Each call is of another key, in no order that memory likes. */
function inProcess() {
  const keys = Array.from({ length: KEYS }, newKeyText);
  const callers = keys.map((_, index) => ({
    id: `key_${index}`,
    name: `key ${index}`,
    source: 'store',
    team: `team ${index % 50}`,
    labels: {},
    limits: FOUR_LIMITS,
    mayAdmin: false,
  }));
  const at = (count) => (count * 48_271) % KEYS;
  return {
    key: keyCheck(keys, at),
    decision: decisions(callers, at),
    lines: cacheLines(at),
    usage: usageNotes(callers, at),
  };
}

function keyCheck(keys, at) {
  const ring = new KeyRing();
  ring.setStored(
    keys.map((key, index) => ({
      id: `key_${index}`,
      name: `key ${index}`,
      secrets: [{ hash: hashOfKey(key), shown: '', createdAt: 0 }],
      labels: {},
      limits: {},
      mayAdmin: false,
      createdAt: 0,
    })),
  );
  const now = Date.now();
  return (count) => {
    if (ring.find(keys[at(count)], now).kind !== 'known') throw new Error('a key is not known');
  };
}

/** Every key has been seen before. */
function decisions(callers, at) {
  const store = new MemoryLimitStore({
    clock: { now: () => performance.now(), wallNow: () => Date.now() },
    maxKeys: () => KEYS,
  });
  const none = {};
  const plan = new LimitPlan({
    ...{ rateLimit: undefined, all: none, perKey: none, perTeam: none, perAddress: none, perModel: none },
    ...{ keys: none, teams: none, models: none },
  });
  const work = { model: 'bench', amounts: () => ({ expected: { tokens: 20, costNano: 0 } }) };
  // As of a request whose model is known: all four with an amount.
  const planned = callers.map((caller) => {
    const client = { caller, addressKey: '' };
    const now = Date.now();
    const requests = plan.first(client, now).charges.filter(({ amount }) => amount > 0);
    return [...requests, ...plan.second(client, work, now).charges];
  });
  for (const charges of planned) store.decide(charges);
  if (planned[0].length !== 4) throw new Error('a decision is not of four limits');
  return (count) => {
    if (store.decide(planned[at(count)]).admission === undefined) throw new Error('a decision refused');
  };
}

/** What the memory of this machine asks for, whatever is computed. */
function cacheLines(at) {
  const perLine = 64 / Float64Array.BYTES_PER_ELEMENT;
  const arrays = Array.from({ length: LINES_OF_DECISION }, () => new Float64Array(KEYS * perLine));
  return (count) => {
    const index = at(count) * perLine;
    for (const array of arrays) array[index] += 1;
  };
}

function usageNotes(callers, at) {
  const usage = new UsageAccumulator();
  const prices = new Prices({ bench: { prompt: 1, completion: 2 } });
  const tokens = { promptTokens: 12, cachedTokens: 0, completionTokens: 8, slotMs: 3 };
  const consumed = { ...tokens, tries: [{ ...tokens, model: 'bench', target: 'bench/0' }] };
  // A thousand callers have been active since the last write.
  const ended = callers
    .slice(0, 1000)
    .map((caller) => ({ caller, model: 'bench', target: 'bench/0', consumed }));
  const now = Date.now();
  return (count) => usage.add(ended[at(count) % ended.length], { now, room: KEYS, prices });
}

export function report({ rounds }) {
  const inProcessRows = Object.entries(CASES).map(([name, { label, bound }]) => [
    label,
    show(overRounds(rounds, ({ costs }) => costs[name])),
    bound?.toLocaleString('en') ?? '',
  ]);
  const ratio = overRounds(rounds, ratioOf);
  const gatewayRows = Object.entries({
    off: 'without',
    on: 'with a key, four limits on it, prices, and usage in SQLite',
  }).map(([name, label]) => [
    label,
    show(
      overRounds(rounds, (round) => round[name].cpu.total),
      1,
    ),
    name === 'off' ? '' : `**${show(ratio, 3)}**`,
  ]);
  return [
    `**In process, nanoseconds of CPU time, at ${KEYS.toLocaleString('en')} keys:**`,
    '',
    table(['', 'measured', 'at most'], inProcessRows),
    '',
    '**The gateway:**',
    '',
    table(['keys, limits and usage', 'µs of CPU a request', 'of without'], gatewayRows),
    '',
    `Target: ${TARGET.text}.`,
  ].join('\n');
}

function ratioOf({ on, off }) {
  return on.cpu.total / off.cpu.total;
}

export function targets({ rounds }) {
  return [
    ...Object.entries(CASES).flatMap(([name, { label, bound }]) =>
      bound === undefined
        ? []
        : target(
            `${label}, ns of CPU at ${KEYS.toLocaleString('en')} keys`,
            atMost(bound),
            overRounds(rounds, ({ costs }) => costs[name]),
            0,
          ),
    ),
    target(
      'CPU of a request with keys, limits and usage, of one without',
      TARGET,
      overRounds(rounds, ratioOf),
      3,
    ),
  ];
}
