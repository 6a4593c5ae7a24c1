// One client sends twice what can be served, beside five that send little: how long each waits for its start.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { BIMODAL, equalClients } from '../jobs.mjs';
import { outcomeShares, queueTimes } from '../measures.mjs';
import { simulatePoissonLoad } from '../poisson-load.mjs';
import { BACKEND, capacity, serviceMs } from '../service.mjs';

/** Where the flood asks for more than it uses, it is charged ahead and refunded all the time. */
export const FLOOD_ENTRANTS = {
  ours: CONTESTANTS.ours,
  oursLoose: {
    ...CONTESTANTS.ours,
    label: 'llm-serve, the flood asks for 4096 tokens each',
    style: 4,
    floodMaxTokens: 4096,
  },
  fifo: CONTESTANTS.fifo,
  barrier: CONTESTANTS.barrier,
};
const FLOOD_LOAD = 2;
const LIGHT_LOAD = 0.02;
const LIGHT_CLIENTS = 5;
const DEADLINE_MS = 60_000;

/** The longest service and the shortest of its own: what a light client may wait at most. */
export const LIGHT_BOUND_MS = longestServiceMs() + shortestServiceMs();

export function measure({ seed, measuredMinutes }) {
  const { requestsPerSecond } = capacity(BACKEND, BIMODAL);
  const client = (load) => ({
    mix: BIMODAL,
    deadlineMs: DEADLINE_MS,
    requestsPerSecond: load * requestsPerSecond,
  });
  const measureOne = ({ create, floodMaxTokens }) => {
    const clients = [
      { ...client(FLOOD_LOAD), name: 'flood', maxTokens: floodMaxTokens },
      ...equalClients(LIGHT_CLIENTS, client(LIGHT_LOAD)),
    ];
    const { records } = simulatePoissonLoad({ create, clients, seed, measuredMinutes });
    const isFlood = ({ job }) => job.client === 'flood';
    return {
      light: figuresOf(records.filter((record) => !isFlood(record))),
      flood: figuresOf(records.filter(isFlood)),
    };
  };
  return Object.fromEntries(
    Object.entries(FLOOD_ENTRANTS).map(([name, entrant]) => [name, measureOne(entrant)]),
  );
}

function figuresOf(records) {
  const { p50Ms, p99Ms } = queueTimes(records);
  return { p50Ms, p99Ms, completed: outcomeShares(records).completed };
}

export function report(rounds) {
  const cell = (name, kind, figure, digits, factor) =>
    show(summarize(rounds.map((round) => round[name][kind][figure] * factor)), digits);
  return [
    table(
      ['', 'light: p50 s', 'p99 s', 'completed %', 'flood: p50 s', 'p99 s', 'completed %'],
      Object.entries(FLOOD_ENTRANTS).map(([name, { label }]) => [
        label,
        ...['light', 'flood'].flatMap((kind) => [
          cell(name, kind, 'p50Ms', 2, 1e-3),
          cell(name, kind, 'p99Ms', 2, 1e-3),
          cell(name, kind, 'completed', 0, 100),
        ]),
      ]),
    ),
    `Target: the light clients' p99 at most the longest service and their own shortest, ${(LIGHT_BOUND_MS / 1000).toFixed(2)} s.`,
  ].join('\n\n');
}

function longestServiceMs() {
  return Math.max(
    ...BIMODAL.lengths.map((length) =>
      serviceMs(BACKEND, { ...length, promptTokens: BIMODAL.promptTokens.max }),
    ),
  );
}

function shortestServiceMs() {
  return Math.min(
    ...BIMODAL.lengths.map((length) =>
      serviceMs(BACKEND, { ...length, promptTokens: BIMODAL.promptTokens.min }),
    ),
  );
}
