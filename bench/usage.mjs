// What usage costs per request, in CPU time, in process: what is noted at the end of a try, and what is added up at the end of a
// request, for one key and for many. Nothing is written meanwhile: the store is another thread, or another machine.
import { packageVersions } from './machine.mjs';
import { show, summarize, table } from './statistics.mjs';

const { Consumption } = await import('../dist/core/consumption.js');
const { Prices } = await import('../dist/usage/prices.js');
const { UsageWriter } = await import('../dist/usage/usage-writer.js');

/** At most so many nanoseconds for all of it. */
const TARGET_NANOSECONDS = 3000;
const TRACES = 4096;
const CASES = {
  try: { label: 'end of a try', keys: 1, run: ({ attempt }) => consumptionOf(attempt) },
  one: { label: 'end of a request, one key', keys: 1, run: ({ trace }, writer) => writer.ended(trace) },
  many: {
    label: 'end of a request, 1,000 keys',
    keys: 1000,
    run: ({ trace }, writer) => writer.ended(trace),
  },
};
const PER_REQUEST = ['try', 'many'];

export async function run({ rounds, operations }) {
  const measured = [];
  for (let round = 0; round < rounds; round += 1)
    measured.push(
      Object.fromEntries(
        Object.entries(CASES).map(([name, { keys, run: once }]) => [
          name,
          costOf(once, { keys, operations }),
        ]),
      ),
    );
  return { versions: packageVersions([]), settings: { rounds, operations }, rounds: measured };
}

/** Nanoseconds of CPU time each. */
function costOf(once, { keys, operations }) {
  const writer = new UsageWriter({
    clock: { now: () => performance.now(), wallNow: () => Date.now(), schedule: () => ({ cancel() {} }) },
    log: { info() {}, warn() {} },
    store: { add: async () => {} },
    settings: {
      enabled: true,
      flushMs: 500,
      maxRows: 50_000,
      prices: new Prices({ m0: { prompt: 0.15, completion: 0.6 } }),
    },
    newBatchId: () => '',
  });
  const records = Array.from({ length: TRACES }, (_, index) => recordOf(index, keys));
  const all = () => {
    for (let count = 0; count < operations; count += 1) once(records[count % TRACES], writer);
  };
  all();
  const before = process.cpuUsage();
  all();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / operations;
}

function consumptionOf(attempt) {
  const consumption = new Consumption();
  const used = { promptTokens: 100, cachedTokens: 20, answerTokens: 64 };
  consumption.add({ attempt, used, now: 240.7, costs: true });
  return consumption;
}

/** A request to one of three models, each at four targets. */
function recordOf(index, keys) {
  const key = (index * 7) % keys;
  const caller = { id: `key_${key}`, name: `name ${key}`, team: `team ${key % 50}` };
  const attempt = { model: `m${index % 3}`, target: `m${index % 3}/t${index % 4}`, startedAt: 3.2 };
  const { model, target } = attempt;
  return { attempt, trace: { caller, model, target, consumed: consumptionOf(attempt) } };
}

export function report({ rounds }) {
  const ofAll = rounds.map((round) => PER_REQUEST.reduce((sum, name) => sum + round[name], 0));
  const cells = Object.keys(CASES).map((name) => show(summarize(rounds.map((round) => round[name]))));
  return [
    '**Usage, nanoseconds of CPU time:**',
    '',
    table(
      [...Object.values(CASES).map(({ label }) => label), 'a request of 1,000 keys, all of it', 'at most'],
      [[...cells, show(summarize(ofAll)), TARGET_NANOSECONDS.toLocaleString('en')]],
    ),
  ].join('\n');
}
