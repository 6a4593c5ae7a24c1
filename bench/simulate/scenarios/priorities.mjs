// Three priorities under overload: how long each waits, and that the lowest is still served.
import { show, summarize, table } from '../../statistics.mjs';
import { CONTESTANTS } from '../contestants/catalog.mjs';
import { BIMODAL } from '../jobs.mjs';
import { longestPassedOverMs, outcomeShares, queueTimes } from '../measures.mjs';
import { simulatePoissonLoad } from '../poisson-load.mjs';
import { BACKEND, capacity } from '../service.mjs';

const LOAD = 1.5;
const DEADLINE_MS = 60_000;
const CLASSES = [
  { priority: 'high', share: 0.3 },
  { priority: 'normal', share: 0.4 },
  { priority: 'low', share: 0.3 },
];

export function measure({ seed, measuredMinutes }) {
  const { requestsPerSecond } = capacity(BACKEND, BIMODAL);
  const clients = CLASSES.map(({ priority, share }) => ({
    name: priority,
    priority,
    mix: BIMODAL,
    deadlineMs: DEADLINE_MS,
    requestsPerSecond: LOAD * share * requestsPerSecond,
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
  const cell = (priority, figure, digits, factor) =>
    show(summarize(rounds.map((round) => round[priority][figure] * factor)), digits);
  return table(
    ['', '% of requests', 'queue p50 s', 'p99 s', 'started', 'completed %', 'longest passed over s'],
    CLASSES.map(({ priority, share }) => [
      priority,
      `${share * 100}`,
      cell(priority, 'p50Ms', 2, 1e-3),
      cell(priority, 'p99Ms', 2, 1e-3),
      cell(priority, 'started', 0, 1),
      cell(priority, 'completed', 0, 100),
      cell(priority, 'passedOverMs', 1, 1e-3),
    ]),
  );
}
