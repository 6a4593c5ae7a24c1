// Short answers among long ones at a load that can be served: arrival to end over HTTP, and simulated with the same
// arrivals, for the scheduler and two others. A round is a seed.
import { CONTESTANTS } from '../../simulate/contestants/catalog.mjs';
import { equalClients } from '../../simulate/jobs.mjs';
import { latencies } from '../../simulate/measures.mjs';
import { capacity } from '../../simulate/service.mjs';
import { show, summarize, table } from '../../statistics.mjs';
import { measureLoad, planLoad, simulateLoad } from '../open-load.mjs';

const SIMULATED = ['ours', 'fifo', 'barrier'];
const LOAD = 0.8;
const CLIENTS = 8;
/** None is cut off for it; arrivals need not go on for so long. */
const DEADLINE_MS = 60_000;
const EDGE_MS = 3000;
export const RATIO_TARGET = 1.2;

export async function measure({ load, url, subject, addresses, service, seconds, rounds }) {
  const clients = equalClients(CLIENTS, {
    mix: subject.mix,
    deadlineMs: DEADLINE_MS,
    requestsPerSecond: (LOAD * capacity(service, subject.mix).requestsPerSecond) / CLIENTS,
  });
  const measured = [];
  for (let round = 0; round < rounds; round += 1) {
    const plan = planLoad({ clients, seed: 100 + round, seconds, edgeMs: EDGE_MS });
    const { records } = await measureLoad({ load, url, subject, addresses, plan });
    const simulated = SIMULATED.map((name) => {
      const { create } = CONTESTANTS[name];
      return [name, shortLatencies(simulateLoad({ create, service, plan }).records, subject)];
    });
    measured.push({ measured: shortLatencies(records, subject), ...Object.fromEntries(simulated) });
  }
  return measured;
}

function shortLatencies(records, { mix }) {
  const [{ answerTokens: shortTokens }] = mix.lengths;
  return latencies(records.filter(({ job }) => job.answerTokens === shortTokens));
}

export function ratios(rounds, figure) {
  return summarize(rounds.map(({ measured, ours }) => measured[figure] / ours[figure]));
}

export function report(rounds) {
  const row = (name, label) => [
    label,
    show(summarize(rounds.map((round) => round[name].p50Ms))),
    show(summarize(rounds.map((round) => round[name].p99Ms))),
    show(summarize(rounds.map((round) => round[name].count))),
  ];
  return [
    table(
      ['', 'short: p50 ms', 'p99 ms', 'short answers'],
      [
        row('measured', 'llm-serve, over HTTP'),
        ...SIMULATED.map((name) => row(name, `${CONTESTANTS[name].label}, simulated`)),
      ],
    ),
    `Over HTTP ÷ simulated, per round: p50 ${show(ratios(rounds, 'p50Ms'), 2)}, p99 **${show(ratios(rounds, 'p99Ms'), 2)}**.`,
  ].join('\n\n');
}
