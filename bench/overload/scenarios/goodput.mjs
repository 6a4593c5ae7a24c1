// More and more load on a subject: what is completed in time over HTTP, and what the simulator says of the same
// requests. Capacity is that of the calibration.
import { CONTESTANTS } from '../../simulate/contestants/catalog.mjs';
import { equalClients } from '../../simulate/jobs.mjs';
import { goodput, latencies, outcomeShares, rates, sum } from '../../simulate/measures.mjs';
import { simulatePoissonLoad } from '../../simulate/poisson-load.mjs';
import { OVERLOAD, shareOfPeak } from '../../simulate/scenarios/overload.mjs';
import { capacity } from '../../simulate/service.mjs';
import { table } from '../../statistics.mjs';
import { measureLoad, planLoad, serviceRatio, simulateLoad } from '../open-load.mjs';

const CLIENTS = 8;
const SEED = 1;
const CURVE_LOADS = [0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3];
const CURVE_WARM_UP_MS = 60_000;
export const PEAK_TARGET = 0.9;

/** Both figures for each of `loads`: `figures[2].measured.tokens`. */
export async function measure({ load, url, subject, addresses, service, deadlineMs, loads, seconds }) {
  const full = capacity(service, subject.mix);
  const byLoad = {};
  for (const offered of loads) {
    const clients = clientsAt({ offered, subject, service, deadlineMs });
    const plan = planLoad({ clients, seed: SEED, seconds, edgeMs: deadlineMs });
    const measured = await measureLoad({ load, url, subject, addresses, plan });
    const simulated = simulateLoad({ create: CONTESTANTS.ours.create, service, plan });
    byLoad[offered] = {
      requests: measured.records.length,
      offeredTokens: tokensOffered(measured) / full.tokensPerSecond,
      lateMs: measured.lateMs,
      serviceRatio: serviceRatio(measured.records, service),
      measured: figuresOf(measured, { full, subject }),
      simulated: figuresOf(simulated, { full, subject }),
    };
  }
  return byLoad;
}

/** The simulator's goodput over many more requests, as a curve over loads. */
export function simulateCurve({ subject, service, deadlineMs, simulatedMinutes }) {
  const full = capacity(service, subject.mix);
  return CURVE_LOADS.map((offered) => {
    const { records, window } = simulatePoissonLoad({
      create: CONTESTANTS.ours.create,
      clients: clientsAt({ offered, subject, service, deadlineMs }),
      seed: SEED,
      measuredMinutes: simulatedMinutes,
      backend: service,
      warmUpMs: CURVE_WARM_UP_MS,
    });
    return { offered, tokens: goodput(records, window).tokensPerSecond / full.tokensPerSecond };
  });
}

function clientsAt({ offered, subject: { mix }, service, deadlineMs }) {
  const { requestsPerSecond } = capacity(service, mix);
  return equalClients(CLIENTS, {
    mix,
    deadlineMs,
    requestsPerSecond: (offered * requestsPerSecond) / CLIENTS,
  });
}

export const CLIENT_NAMES = equalClients(CLIENTS, {}).map(({ name }) => name);

function tokensOffered({ records, window }) {
  return (sum(records, ({ job }) => job.answerTokens) * 1000) / (window.toMs - window.fromMs);
}

/** The goodput is that of what ended in the window: a queue of some seconds is a large part of it. */
function figuresOf({ records, ended, window }, { full, subject: { mix, nominal } }) {
  const { slots } = nominal;
  const good = rates(ended, window);
  const usefulMs = sum(ended, ({ outcome, servedMs }) => (outcome === 'completed' ? servedMs : 0));
  const { refused, expired, failed } = outcomeShares(records);
  const [{ answerTokens: shortTokens }] = mix.lengths;
  const { p50Ms, p99Ms } = latencies(records.filter(({ job }) => job.answerTokens === shortTokens));
  return {
    tokens: good.tokensPerSecond / full.tokensPerSecond,
    requests: good.requestsPerSecond / full.requestsPerSecond,
    slotTime: usefulMs / (slots * (window.toMs - window.fromMs)),
    refused,
    expired,
    failed,
    shortP50Ms: p50Ms,
    shortP99Ms: p99Ms,
  };
}

/** Pairs of load and figures from the lowest load on; the keys of an object come in another order. */
export function inOrder(byLoad) {
  return Object.entries(byLoad)
    .map(([offered, figures]) => [Number(offered), figures])
    .sort(([one], [other]) => one - other);
}

const percent = (share) => (share * 100).toFixed(0);
const both = ({ measured, simulated }, figure, format) =>
  `${format(measured[figure])} / ${format(simulated[figure])}`;

export function report(byLoad) {
  const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2);
  const rows = inOrder(byLoad).map(([offered, figures]) => [
    `${offered}`,
    percent(figures.offeredTokens),
    both(figures, 'tokens', percent),
    both(figures, 'requests', percent),
    both(figures, 'slotTime', percent),
    both(figures, 'refused', percent),
    both(figures, 'expired', percent),
    both(figures, 'failed', percent),
    both(figures, 'shortP50Ms', seconds),
    both(figures, 'shortP99Ms', seconds),
    figures.serviceRatio.toFixed(2),
  ]);
  const head = [
    'offered load',
    'tokens asked for, % of capacity',
    'tokens in time, % of capacity',
    'requests in time, % of capacity',
    'slot time of those, %',
    'refused at once, % of requests',
    'expired waiting',
    'deadline while running',
    'short answers: p50 s',
    'p99 s',
    'service ÷ calibrated',
  ];
  const all = Object.values(byLoad);
  const requests = all.map((figures) => figures.requests);
  const lateMs = Math.max(...all.map((figures) => figures.lateMs));
  return [
    table(head, rows),
    `${Math.min(...requests)} to ${Math.max(...requests)} requests arrived in the time that counts; 99 of 100 were sent at most ${lateMs.toFixed(1)} ms after they were due.`,
  ].join('\n\n');
}

/** Undefined where a trial left out that load or all below it: there is no peak to speak of. */
export function peakShare(byLoad) {
  const upToIt = Object.keys(byLoad).filter((load) => Number(load) <= OVERLOAD);
  if (!byLoad[OVERLOAD] || upToIt.length < 2) return undefined;
  const measured = Object.fromEntries(
    Object.entries(byLoad).map(([load, figures]) => [load, figures.measured]),
  );
  return { tokens: shareOfPeak(measured, 'tokens'), requests: shareOfPeak(measured, 'requests') };
}
