// More and more load on the same slots: what is completed in time, and what becomes of the rest.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { ALIKE, BIMODAL, equalClients } from '../jobs.mjs';
import { goodput, outcomeShares, wastedShare } from '../measures.mjs';
import { simulatePoissonLoad } from '../poisson-load.mjs';
import { BACKEND, capacity } from '../service.mjs';

export const LOADS = [0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3];
/** What is said of its peak is said of this load. */
export const OVERLOAD = 2;
const CLIENTS = 8;
const DEADLINE_MS = 10_000;

/** Who is told nothing, or nothing of use, of how long answers will be has to guess. */
export const OVERLOAD_ENTRANTS = {
  ours: CONTESTANTS.ours,
  oursUnset: { ...CONTESTANTS.ours, label: 'llm-serve, max_tokens not set', style: 4, maxTokens: 'unset' },
  oursLoose: { ...CONTESTANTS.ours, label: 'llm-serve, all set to 2048', style: 5, maxTokens: 2048 },
  fifo: CONTESTANTS.fifo,
  barrier: CONTESTANTS.barrier,
  unlimited: CONTESTANTS.unlimited,
};
const MIXES = { bimodal: BIMODAL, alike: ALIKE };

/** A figure per mix, entrant and load: `figures.bimodal.ours[2].tokens`. */
export function measure({ seed, measuredMinutes, loads = LOADS, mixes = Object.keys(MIXES) }) {
  const overLoads = (mix, entrant) =>
    Object.fromEntries(
      loads.map((load) => [load, measureLoad({ mix, entrant, load, seed, measuredMinutes })]),
    );
  const overEntrants = (mix) =>
    Object.fromEntries(
      Object.keys(OVERLOAD_ENTRANTS).map((name) => [name, overLoads(mix, OVERLOAD_ENTRANTS[name])]),
    );
  return Object.fromEntries(mixes.map((name) => [name, overEntrants(MIXES[name])]));
}

/** Shares: of capacity (requests, tokens), of what was offered (refused, expired, failed), of the work done (wasted). */
function measureLoad({ mix, entrant, load, seed, measuredMinutes }) {
  const full = capacity(BACKEND, mix);
  const clients = equalClients(CLIENTS, {
    mix,
    deadlineMs: DEADLINE_MS,
    maxTokens: entrant.maxTokens,
    requestsPerSecond: (load * full.requestsPerSecond) / CLIENTS,
  });
  const { records, window } = simulatePoissonLoad({ create: entrant.create, clients, seed, measuredMinutes });
  const good = goodput(records, window);
  const { refused, expired, failed } = outcomeShares(records);
  return {
    requests: good.requestsPerSecond / full.requestsPerSecond,
    tokens: good.tokensPerSecond / full.tokensPerSecond,
    refused,
    expired,
    failed,
    wasted: wastedShare(records),
  };
}

/** Goodput at twice the capacity as a share of the best at that load or any below. */
export function shareOfPeak(byLoad, figure) {
  const upToIt = Object.keys(byLoad).filter((load) => Number(load) <= OVERLOAD);
  return byLoad[OVERLOAD][figure] / Math.max(...upToIt.map((load) => byLoad[load][figure]));
}

const percent = (values) => show(summarize(values.map((value) => value * 100)), 0);
const names = Object.keys(OVERLOAD_ENTRANTS);
const labels = names.map((name) => OVERLOAD_ENTRANTS[name].label);

export function report(rounds) {
  const goodputTable = (mix, figure) =>
    table(
      ['offered load', ...labels],
      LOADS.map((load) => [
        `${load}`,
        ...names.map((name) => percent(rounds.map((round) => round[mix][name][load][figure]))),
      ]),
    );
  const atOverload = (mix) =>
    table(
      [
        '',
        'refused at once',
        'gave up or dropped while waiting',
        'ran past the deadline',
        'work wasted',
        'of peak, requests',
        'of peak, tokens',
      ],
      names.map((name) => [
        OVERLOAD_ENTRANTS[name].label,
        ...['refused', 'expired', 'failed', 'wasted'].map((figure) =>
          percent(rounds.map((round) => round[mix][name][OVERLOAD][figure])),
        ),
        ...['requests', 'tokens'].map((figure) =>
          percent(rounds.map((round) => shareOfPeak(round[mix][name], figure))),
        ),
      ]),
    );
  return [
    '**Tokens of answers completed in time, % of capacity; 80 % of the answers have 16 tokens, 20 % have 256:**',
    goodputTable('bimodal', 'tokens'),
    '**The same in requests, % of capacity** (short ones alone can exceed 100 %):',
    goodputTable('bimodal', 'requests'),
    `**What becomes of them at ${OVERLOAD} × capacity, %:**`,
    atOverload('bimodal'),
    '**Tokens of answers completed in time, % of capacity; all answers have 32 to 96 tokens:**',
    goodputTable('alike', 'tokens'),
    `**What becomes of them at ${OVERLOAD} × capacity, %:**`,
    atOverload('alike'),
  ].join('\n\n');
}
