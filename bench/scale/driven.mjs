// What clients see of one process, of two workers, and of two replicas that share limits and slots: `llm-serve bench` asks at a rate that
// all of them carry, pinned to the core of the upstream; all processes of the gateway are on the other one. At full speed bench would
// measure itself: it reads every event of an answer.
import { benchOn } from '../bench-command.mjs';
import { cpuOfTrees, pin, treesOf } from '../process-tree.mjs';
import { rotate } from '../rounds.mjs';
import { startOurs } from '../servers.mjs';

export const RATE_PER_SECOND = 200;
const WARMUP = 64;
/** Two more show bench how tokens are counted. */
const BEFORE = WARMUP + 2;
const SLOTS = 64;
const FLAGS = [...['--rate-limit.enabled', 'true'], ...['--rate-limit.requests', '1000000']];
const WORDS = [
  ...['--rate', String(RATE_PER_SECOND), '--warmup', String(WARMUP)],
  ...['--prompt-tokens', '16', '--output-tokens', '8'],
];
const lasting = (seconds) => ['--duration', String(seconds)];
const seeded = (round) => ['--seed', String(round)];
const SHAPES = {
  one: { servers: 1, flags: () => [] },
  two: { servers: 1, flags: () => ['--server.workers', '2'] },
  replicas: {
    servers: 2,
    flags: (store) => ['--limits.store', store, '--leases.store', store],
  },
};

export async function startDriven({ keep, upstream, valkey, node, seconds, cores }) {
  const store = `valkey://127.0.0.1:${valkey.port}`;
  const gateways = [];
  for (const [name, { servers, flags }] of Object.entries(SHAPES)) {
    const started = [];
    for (let index = 0; index < servers; index += 1) {
      const options = { node, target: { slots: SLOTS }, flags: [...FLAGS, ...flags(store)] };
      started.push(keep(await startOurs({ upstreamUrl: upstream.url, ...options })));
    }
    gateways.push({ name, urls: started.map(({ url }) => url), pids: started.map(({ pid }) => pid) });
  }
  return async (round) => {
    const isPinned =
      pin([upstream.pid, valkey.pid], cores.load) &&
      pin(
        gateways.flatMap(({ pids }) => treesOf(pids)),
        cores.server,
      );
    if (!isPinned) throw new Error('processes cannot be given cores: there is no taskset');
    const result = {};
    for (const { name, urls, pids } of rotate(gateways, round)) {
      const work = () =>
        benchOn(urls, { cores: cores.load, words: [...WORDS, ...lasting(seconds), ...seeded(round)] });
      const { result: step, cpu } = await cpuOfTrees({ pids, units: 1 }, work);
      const answered = step.completed + BEFORE * urls.length;
      result[name] = {
        cpu: cpu.total / answered,
        completed: step.completed / step.requests,
        ttftP50Ms: step.ttft_ms.p50.value,
        ttftP99Ms: step.ttft_ms.p99.value,
        e2eP50Ms: step.e2e_ms.p50.value,
        e2eP99Ms: step.e2e_ms.p99.value,
        /** Of the server that answered least, of what its even share is. */
        leastShare: leastShare(step),
        /** Empty: the client kept up. */
        clientProblem: step.client.problem ?? '',
      };
    }
    return result;
  };
}

function leastShare({ servers, completed }) {
  if (servers.length === 0) return 1;
  return Math.min(...servers.map((each) => (each.completed * servers.length) / completed));
}
