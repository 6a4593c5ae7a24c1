// One contestant under Poisson arrivals: the part of the records that counts, after a warm-up and under full load.
import { poissonJobs } from './jobs.mjs';
import { arrivedWithin } from './measures.mjs';
import { BACKEND } from './service.mjs';
import { simulate } from './simulation.mjs';

const WARM_UP_MS = 5 * 60_000;

/** Arrivals go on for the longest deadline after the window, so that its last requests meet the same load. */
export function simulatePoissonLoad(load) {
  const { create, clients, seed, measuredMinutes, backend = BACKEND, warmUpMs = WARM_UP_MS } = load;
  const window = { fromMs: warmUpMs, toMs: warmUpMs + measuredMinutes * 60_000 };
  const longestMs = Math.max(...clients.map(({ deadlineMs }) => deadlineMs));
  const jobs = poissonJobs({ clients, seed, durationMs: window.toMs + longestMs });
  const { records: all, left } = simulate({ backend, createContestant: create, jobs });
  return { records: arrivedWithin(all, window), all, window, sent: jobs.length, left };
}
