// What this server costs in front of a real vLLM on a GPU: clients that ask vLLM itself, through one process of ours, and through four
// workers, in alternating rounds of the same load, by `llm-serve bench`. vLLM is started by whoever measures; its addresses come from
// LLM_BENCH_VLLM. Clients have cores of their own; vLLM and the gateway share the others.
import { availableParallelism } from 'node:os';
import { benchOn } from '../bench-command.mjs';
import { startExecutable } from '../executable.mjs';
import { packageVersions } from '../machine.mjs';
import { cpuOfTrees, pin, treesOf } from '../process-tree.mjs';
import { withPrograms } from '../programs.mjs';
import { inRounds, overRounds, rotate } from '../rounds.mjs';
import { show, table } from '../statistics.mjs';

export const perNode = true;
const LEAST_CORES = 8;
const ADDRESSES = (process.env.LLM_BENCH_VLLM ?? '').split(',').filter((url) => url !== '');
const CLIENT_CORES = '0-3';
const GATEWAY_CORES = `4-${availableParallelism() - 1}`;
const SLOTS = 256;
const SHAPES = {
  direct: { label: 'vLLM itself' },
  one: { label: 'through one process', workers: 1 },
  four: { label: 'through four workers', workers: 4 },
};
const WORDS = [
  '--protocol',
  'openai-chat',
  '--prompt-tokens',
  '128',
  '--output-tokens',
  '128',
  '--timeout',
  '120',
  '--warmup',
  '16',
];

export function whatIsMissing() {
  if (ADDRESSES.length === 0)
    return 'LLM_BENCH_VLLM does not say where vLLM listens (with commas between several)';
  if (availableParallelism() < LEAST_CORES) return `it needs ${LEAST_CORES} cores`;
  return undefined;
}

export async function run({ rounds, users, seconds, node }) {
  const counts = String(users).split('-').map(Number);
  const { model, version } = await whatServes(ADDRESSES[0]);
  return withPrograms(async (keep) => {
    const gateways = [{ name: 'direct', urls: ADDRESSES, pids: [] }];
    for (const [name, { workers }] of Object.entries(SHAPES)) {
      if (workers === undefined) continue;
      const models = [
        { id: model, targets: ADDRESSES.map((url) => ({ backend: 'vllm', url, model, slots: SLOTS })) },
      ];
      const flags = ['--models', JSON.stringify(models), '--server.workers', String(workers)];
      const { url, pid } = keep(await startExecutable({ node, flags }));
      gateways.push({ name, urls: [url], pids: [pid] });
    }
    const isPinned = pin(
      gateways.flatMap(({ pids }) => treesOf(pids)),
      GATEWAY_CORES,
    );
    if (!isPinned) throw new Error('processes cannot be given cores: there is no taskset');
    const measureRound = async (round) => {
      const measured = {};
      for (const count of counts) {
        measured[count] = {};
        for (const { name, urls, pids } of rotate(gateways, round)) {
          const load = [
            '--concurrency',
            String(count),
            '--duration',
            String(seconds),
            '--seed',
            String(round + 1),
          ];
          const work = () => benchOn(urls, { cores: CLIENT_CORES, words: [...WORDS, ...load] });
          const { result: step, cpu } = await cpuOfTrees({ pids, units: 1 }, work);
          measured[count][name] = { cpu: cpu.total ?? 0, step };
        }
      }
      return measured;
    };
    return {
      versions: { ...packageVersions([], node), vllm: version },
      settings: { rounds, seconds, users, servers: ADDRESSES.length },
      rounds: await inRounds(rounds, measureRound),
    };
  });
}

async function whatServes(url) {
  const [models, version] = await Promise.all([fetch(`${url}/v1/models`), fetch(`${url}/version`)]);
  return { model: (await models.json()).data[0].id, version: (await version.json()).version };
}

export function report({ rounds }) {
  const rows = Object.keys(rounds[0]).flatMap((count) =>
    Object.entries(SHAPES).map(([name, { label }]) => {
      const over = (read, digits) =>
        show(
          overRounds(rounds, (measured) => read(measured[count][name])),
          digits,
        );
      const late = rounds.filter((measured) => measured[count][name].step.client.problem !== null).length;
      return [
        `${count} users, ${label}${late === 0 ? '' : ` (the client was too slow in ${late} of ${rounds.length} rounds)`}`,
        over(({ step }) => step.output_tokens_per_second, 0),
        ...['ttft_ms', 'itl_ms', 'e2e_ms'].flatMap((time) => [
          over(({ step }) => step[time].p50.value, 1),
          over(({ step }) => step[time].p99.value, 1),
        ]),
        over(({ step }) => step.failed, 0),
        name === 'direct' ? '' : over(({ cpu, step }) => cpu / step.output_tokens.total, 2),
      ];
    }),
  );
  const times = ['first token p50, ms', 'p99', 'between tokens p50, ms', 'p99', 'end to end p50, ms', 'p99'];
  return table(['', 'tokens/s', ...times, 'failed', 'µs of CPU a token'], rows);
}
