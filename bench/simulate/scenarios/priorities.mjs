// Three priorities under overload: how long each waits, and that the lowest is still served.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { BIMODAL } from '../jobs.mjs';
import { longestPassedOverMs, outcomeShares, queueTimes } from '../measures.mjs';
import { simulatePoissonLoad } from '../poisson-load.mjs';
import { BACKEND, capacity } from '../service.mjs';

/** At the lower one the higher classes leave something for the lowest, at the higher one nothing. */
const LOADS = [1.5, 3];
const DEADLINE_MS = 60_000;
const CLASSES = [
  { priority: 'high', share: 0.3 },
  { priority: 'normal', share: 0.4 },
  { priority: 'low', share: 0.3 },
];

export function measure(settings) {
  return Object.fromEntries(LOADS.map((load) => [load, measureAt(load, settings)]));
}

function measureAt(load, { seed, measuredMinutes }) {
  const { requestsPerSecond } = capacity(BACKEND, BIMODAL);
  const clients = CLASSES.map(({ priority, share }) => ({
    name: priority,
    priority,
    mix: BIMODAL,
    deadlineMs: DEADLINE_MS,
    requestsPerSecond: load * share * requestsPerSecond,
  }));
  const { create } = CONTESTANTS.ours;
  const { records, all, window } = simulatePoissonLoad({ create, clients, seed, measuredMinutes });
  const measureOne = (priority) => {
    const own = records.filter(({ job }) => job.priority === priority);
    const { p50Ms, p99Ms, count } = queueTimes(own);
    const { completed } = outcomeShares(own);
    const passedOverMs = longestPassedOverMs(
      all.filter(({ job }) => job.priority === priority),
      window,
    );
    return { p50Ms, p99Ms, started: count, completed, passedOverMs };
  };
  return Object.fromEntries(CLASSES.map(({ priority }) => [priority, measureOne(priority)]));
}

export function report(rounds) {
  const row = (load, { priority, share }) => {
    const cell = (figure, digits, factor) =>
      show(summarize(rounds.map((round) => round[load][priority][figure] * factor)), digits);
    return [
      `${load}, ${priority}`,
      `${share * 100}`,
      cell('p50Ms', 2, 1e-3),
      cell('p99Ms', 2, 1e-3),
      cell('started', 0, 1),
      cell('completed', 0, 100),
      cell('passedOverMs', 1, 1e-3),
    ];
  };
  return table(
    [
      'load, priority',
      '% of requests',
      'queue p50 s',
      'p99 s',
      'started',
      'completed %',
      'longest passed over s',
    ],
    LOADS.flatMap((load) => CLASSES.map((one) => row(load, one))),
  );
}
