// Poisson arrivals at a subject, for real and simulated: the same jobs for both, and the same reading of the records.
import { poissonJobs } from '../simulate/jobs.mjs';
import { arrivedWithin, endedWithin } from '../simulate/measures.mjs';
import { serviceMs } from '../simulate/service.mjs';
import { simulate } from '../simulate/simulation.mjs';
import { percentile } from '../statistics.mjs';
import { recordsOf } from './answered.mjs';

/**
 * The jobs of `clients`, and the part of their time that counts: before it the queue fills for a deadline, after it the
 * load goes on for one. A quick trial has less of both.
 */
export function planLoad({ clients, seed, seconds, edgeMs }) {
  const around = Math.min(edgeMs, (seconds * 1000) / 2);
  const window = { fromMs: around, toMs: around + seconds * 1000 };
  return { window, jobs: poissonJobs({ clients, seed, durationMs: window.toMs + around }) };
}

/** Over HTTP; `lateMs`: how late requests were sent, at the 99th percentile. */
export async function measureLoad({ load, url, subject, addresses, plan: { jobs, window } }) {
  const answers = await load.ask({
    url,
    addresses,
    requests: jobs.map((job, index) => ({
      client: job.client,
      atMs: job.arrivalMs,
      body: JSON.stringify(subject.bodyOf(job, index)),
    })),
  });
  return {
    ...cut(recordsOf({ jobs, answers }), window),
    lateMs: percentile(
      answers.map(({ index, sentAtMs }) => sentAtMs - jobs[index].arrivalMs),
      0.99,
    ),
  };
}

export function simulateLoad({ create, service, plan: { jobs, window } }) {
  const { records } = simulate({ backend: service, createContestant: create, jobs });
  return cut(records, window);
}

/** `records` of what arrived within the window; `ended`: of what ended within it. */
function cut(records, window) {
  return { records: arrivedWithin(records, window), ended: endedWithin(records, window), window };
}

/** What answers took in their slots, of what the calibration says they take. */
export function serviceRatio(records, service) {
  const completed = records.filter(({ outcome }) => outcome === 'completed');
  const total = (read) => completed.reduce((sum, record) => sum + read(record), 0);
  return (
    total(({ servedMs }) => servedMs) /
    total(({ job, answerTokens }) => serviceMs(service, { ...job, answerTokens }))
  );
}
