// Three of ten requests are given up by their clients at a random moment, waiting or running, under overload: nothing
// may be left behind, and the slots go to the others.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { BIMODAL, equalClients } from '../jobs.mjs';
import { goodput, outcomeShares } from '../measures.mjs';
import { simulatePoissonLoad } from '../poisson-load.mjs';
import { BACKEND, capacity } from '../service.mjs';

const ENTRANTS = ['ours', 'fifo', 'barrier', 'unlimited'];
const LOAD = 1.5;
const CLIENTS = 8;
const DEADLINE_MS = 10_000;
const ABORT_SHARE = 0.3;

export function measure({ seed, measuredMinutes }) {
  const full = capacity(BACKEND, BIMODAL);
  const clients = equalClients(CLIENTS, {
    mix: BIMODAL,
    deadlineMs: DEADLINE_MS,
    abortShare: ABORT_SHARE,
    requestsPerSecond: (LOAD * full.requestsPerSecond) / CLIENTS,
  });
  const measureOne = (name) => {
    const { create } = CONTESTANTS[name];
    const { records, all, window, left, sent } = simulatePoissonLoad({
      create,
      clients,
      seed,
      measuredMinutes,
    });
    if (Object.values(left).some((count) => count !== 0) || sent !== all.length)
      throw new Error(`${name} lost requests: ${all.length} of ${sent} ended, left ${JSON.stringify(left)}`);
    const isAborted = ({ outcome }) => outcome === 'aborted';
    const abortedRunning = records.filter((record) => isAborted(record) && record.startedAtMs !== undefined);
    return {
      tokens: goodput(records, window).tokensPerSecond / full.tokensPerSecond,
      abortedWaiting: outcomeShares(records).aborted - abortedRunning.length / records.length,
      abortedRunning: abortedRunning.length / records.length,
    };
  };
  return Object.fromEntries(ENTRANTS.map((name) => [name, measureOne(name)]));
}

export function report(rounds) {
  const percent = (name, figure) => show(summarize(rounds.map((round) => round[name][figure] * 100)), 0);
  return table(
    [
      '',
      'tokens completed in time, % of capacity',
      'aborted while waiting, % of requests',
      'aborted while running',
    ],
    ENTRANTS.map((name) => [
      CONTESTANTS[name].label,
      ...['tokens', 'abortedWaiting', 'abortedRunning'].map((figure) => percent(name, figure)),
    ]),
  );
}
