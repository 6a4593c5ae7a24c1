// `npm run bench`: all benchmarks, or those named: npm run bench -- gateway scheduler
// Writes bench/results/<name>.json, the tables of docs/benchmarks.md and its charts; `--quick` is a short trial that writes nothing.
// `--rounds N` overrides the number of rounds; `--render` makes tables and charts again from the results that are kept.
// `--set NAME=VALUE` overrides any setting, for a trial too: `--set requests=8000 --set only=fastify,ours` measures just those two.
// `--node EXECUTABLE`, once or more, measures the servers on those Nodes instead of this one; so does LLM_BENCH_NODES, a list with
// a colon between two. Each version has its own block of tables, which lasts until that major version is measured again.
import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import { FULL, QUICK } from '../bench/sizes.mjs';
import { prepare } from './build.mjs';

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
