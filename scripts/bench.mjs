// `npm run bench`: all benchmarks, or those named: npm run bench -- gateway scheduler
// Writes bench/results/<name>.json, the tables of docs/benchmarks.md and its charts; `--quick` is a short trial that writes nothing.
// `--rounds N` overrides the number of rounds; `--render` makes tables and charts again from the results that are kept.
// `--set NAME=VALUE` overrides any setting, for a trial too: `--set requests=8000 --set only=fastify,ours` measures just those two.
// `--node EXECUTABLE`, once or more, measures the servers on those Nodes instead of this one; so does LLM_BENCH_NODES, a list with
// a colon between two. Each version has its own block of tables, which lasts until that major version is measured again.
import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare } from './build.mjs';

const FULL = {
  gateway: { rounds: 5, requests: 15_000 },
  'whole-answers': { rounds: 5, requests: 1500 },
  translation: { rounds: 3, requests: 6000, pacedTokens: 25_600, burstTokens: 204_800 },
  streams: { rounds: 2, seconds: 3, counts: '32,128,256,384,512,768,1024' },
  tail: { rounds: 2, seconds: 2, requests: 10_000 },
  refusals: { rounds: 3, requests: 8000 },
  floods: {
    rounds: 1,
    calmSeconds: 20,
    seconds: 60,
    wrongKeysPerSecond: 2000,
    idleConnections: 10_000,
    slowReaders: 2000,
    workers: 1,
  },
  traces: { rounds: 7, requests: 12_000 },
  live: { rounds: 7, seconds: 10 },
  memory: { rounds: 3, streams: 2000, settleSeconds: 2 },
  startup: { rounds: 9 },
  engine: { rounds: 5, tokens: 128 },
  conversations: { rounds: 5, layers: 2 },
  scheduler: { rounds: 5 },
  routing: { rounds: 7, operations: 50_000 },
  receipts: { rounds: 7, operations: 200_000 },
  access: { rounds: 9, operations: 200_000, requests: 15_000 },
  'shared-limits': { rounds: 7, decisions: 5000 },
  workers: { rounds: 7, decisions: 10_000 },
  usage: { rounds: 7, operations: 200_000 },
  scale: { rounds: 9, requests: 15_000, seconds: 10 },
  cores: { rounds: 4, requests: 8000 },
  'behind-vllm': { rounds: 3, users: '64-256', seconds: 12 },
  fleet: { rounds: 3, maxReplicas: 1000 },
  simulate: { rounds: 5, measuredMinutes: 30 },
  overload: {
    rounds: 3,
    seconds: 16,
    percentileSeconds: 24,
    calibrationSeconds: { scripted: 6, engine: 6 },
    scriptedLoads: [0.5, 1, 1.5, 2, 3],
    engineLoads: [0.5, 1, 2],
    simulatedMinutes: 20,
  },
};
const QUICK = {
  gateway: { rounds: 1, requests: 1500 },
  'whole-answers': { rounds: 1, requests: 300 },
  translation: { rounds: 1, requests: 500, pacedTokens: 3200, burstTokens: 20_000 },
  streams: { rounds: 1, seconds: 1, counts: '32,256' },
  tail: { rounds: 1, seconds: 0.5, requests: 1000 },
  refusals: { rounds: 1, requests: 500 },
  floods: {
    rounds: 1,
    calmSeconds: 5,
    seconds: 5,
    wrongKeysPerSecond: 500,
    idleConnections: 1000,
    slowReaders: 100,
    workers: 1,
  },
  traces: { rounds: 1, requests: 1000 },
  live: { rounds: 1, seconds: 2 },
  memory: { rounds: 1, streams: 200, settleSeconds: 0.5 },
  startup: { rounds: 1 },
  engine: { rounds: 1, tokens: 16 },
  conversations: { rounds: 1, layers: 1 },
  scheduler: { rounds: 1 },
  routing: { rounds: 1, operations: 5000 },
  receipts: { rounds: 1, operations: 20_000 },
  access: { rounds: 1, operations: 20_000, requests: 1500 },
  'shared-limits': { rounds: 1, decisions: 500 },
  workers: { rounds: 1, decisions: 2000 },
  usage: { rounds: 1, operations: 20_000 },
  scale: { rounds: 1, requests: 1500, seconds: 2 },
  cores: { rounds: 1, requests: 2000 },
  'behind-vllm': { rounds: 1, users: '8', seconds: 3 },
  fleet: { rounds: 1, maxReplicas: 30 },
  simulate: { rounds: 1, measuredMinutes: 5 },
  overload: {
    rounds: 1,
    seconds: 2,
    percentileSeconds: 2,
    calibrationSeconds: { scripted: 1, engine: 1 },
    scriptedLoads: [1, 2],
    engineLoads: [2],
    simulatedMinutes: 2,
  },
};

await prepare();
const benchmarks = {
  gateway: await import('../bench/gateway/compare.mjs'),
  'whole-answers': await import('../bench/whole-answers/compare.mjs'),
  translation: await import('../bench/translation/compare.mjs'),
  streams: await import('../bench/streams/compare.mjs'),
  tail: await import('../bench/tail/compare.mjs'),
  refusals: await import('../bench/refusals/compare.mjs'),
  floods: await import('../bench/floods/compare.mjs'),
  traces: await import('../bench/traces/compare.mjs'),
  live: await import('../bench/live/compare.mjs'),
  memory: await import('../bench/memory/compare.mjs'),
  startup: await import('../bench/startup/compare.mjs'),
  engine: await import('../bench/engine/compare.mjs'),
  conversations: await import('../bench/conversations/compare.mjs'),
  scheduler: await import('../bench/scheduler.mjs'),
  routing: await import('../bench/routing.mjs'),
  receipts: await import('../bench/receipts.mjs'),
  access: await import('../bench/access/compare.mjs'),
  'shared-limits': await import('../bench/shared-limits.mjs'),
  workers: await import('../bench/workers/compare.mjs'),
  usage: await import('../bench/usage.mjs'),
  scale: await import('../bench/scale/compare.mjs'),
  cores: await import('../bench/cores/compare.mjs'),
  'behind-vllm': await import('../bench/behind-vllm/compare.mjs'),
  fleet: await import('../bench/fleet/compare.mjs'),
  simulate: await import('../bench/simulate/compare.mjs'),
  overload: await import('../bench/overload/compare.mjs'),
};
const { describeMachine, nodeVersion } = await import('../bench/machine.mjs');
const { publish, render, save } = await import('../bench/results.mjs');

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    node: { type: 'string', multiple: true, default: nodesOf(process.env.LLM_BENCH_NODES) },
  },
});
if (values.rounds !== undefined && !/^[1-9]\d*$/.test(values.rounds)) {
  process.stderr.write(`--rounds is ${values.rounds}, but must be a whole number of at least 1.\n`);
  process.exit(2);
}
for (const node of values.node) {
  try {
    nodeVersion(node);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
const unknown = positionals.filter((name) => !(name in benchmarks));
if (unknown.length > 0) {
  process.stderr.write(
    `There is no benchmark called ${unknown.join(', ')}. There are: ${Object.keys(benchmarks).join(', ')}.\n`,
  );
  process.exit(2);
}

const isTrial = values.quick || values.set.length > 0;
const overrides = Object.fromEntries(
  values.set.map((pair) => {
    const [name, value] = pair.split('=');
    return [name, /^\d+$/.test(value) ? Number(value) : value];
  }),
);

const names = positionals.length > 0 ? positionals : Object.keys(benchmarks);
for (const name of values.render ? [] : names) {
  for (const node of benchmarks[name].perNode ? values.node : [process.execPath]) await measure(name, node);
}
if (values.render) publish(benchmarks);

/** Measures one benchmark with the servers on one Node, and keeps what it says unless this is a trial. */
async function measure(name, node) {
  const settings = {
    ...(values.quick ? QUICK : FULL)[name],
    ...(values.rounds && { rounds: Number(values.rounds) }),
    ...overrides,
  };
  const missing = benchmarks[name].whatIsMissing?.();
  if (missing) {
    process.stdout.write(`${name}: skipped, ${missing}.\n`);
    return;
  }
  process.stdout.write(`${name}: measuring…\n`);
  const result = {
    name,
    command: [
      'npm run bench --',
      name,
      values.rounds && `--rounds ${values.rounds}`,
      node !== process.execPath && '--node …',
    ]
      .filter(Boolean)
      .join(' '),
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    ...(await benchmarks[name].run({ ...settings, node })),
  };
  process.stdout.write(`\n${render(result, benchmarks[name].report)}\n\n`);
  if (isTrial) return;
  save(name, result);
  publish(benchmarks);
}

/** This one unless others are named. */
function nodesOf(list) {
  return list ? list.split(delimiter) : [process.execPath];
}
