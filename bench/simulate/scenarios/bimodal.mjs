// Short answers among long ones at a load that can be served: what the short ones take from arrival to end.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { BIMODAL, equalClients } from '../jobs.mjs';
import { latencies } from '../measures.mjs';
import { simulatePoissonLoad } from '../poisson-load.mjs';
import { BACKEND, capacity } from '../service.mjs';

const ENTRANTS = ['ours', 'fifo', 'barrier'];
const SLOTS = [2, 4, 8];
const LOAD = 0.8;
const CLIENTS = 8;
const DEADLINE_MS = 60_000;
const SHORT_TOKENS = Math.min(...BIMODAL.lengths.map(({ answerTokens }) => answerTokens));

export function measure({ seed, measuredMinutes }) {
  const measureOne = (name, slots) => {
    const backend = { ...BACKEND, slots };
    const clients = equalClients(CLIENTS, {
      mix: BIMODAL,
      deadlineMs: DEADLINE_MS,
      requestsPerSecond: (LOAD * capacity(backend, BIMODAL).requestsPerSecond) / CLIENTS,
    });
    const { create } = CONTESTANTS[name];
    const { records } = simulatePoissonLoad({ create, clients, seed, measuredMinutes, backend });
    const short = records.filter(({ job }) => job.answerTokens === SHORT_TOKENS);
    const { p50Ms, p99Ms, count } = latencies(short);
    return { p50Ms, p99Ms, completed: count / short.length };
  };
  const overSlots = (name) => Object.fromEntries(SLOTS.map((slots) => [slots, measureOne(name, slots)]));
  return Object.fromEntries(ENTRANTS.map((name) => [name, overSlots(name)]));
}

export function report(rounds) {
  const cell = (name, slots, figure, digits, factor) =>
    show(summarize(rounds.map((round) => round[name][slots][figure] * factor)), digits);
  return table(
    ['slots, contestant', 'short: p50 s', 'p99 s', 'completed %'],
    SLOTS.flatMap((slots) =>
      ENTRANTS.map((name) => [
        `${slots}, ${CONTESTANTS[name].label}`,
        cell(name, slots, 'p50Ms', 2, 1e-3),
        cell(name, slots, 'p99Ms', 2, 1e-3),
        cell(name, slots, 'completed', 0, 100),
      ]),
    ),
  );
}
