// What is read off the records of a simulation (or of a load for real). Pure.
import { percentile } from '../statistics.mjs';

/** Those that arrived within the window: after the warm-up, and early enough to have ended under full load. */
export function arrivedWithin(records, { fromMs, toMs }) {
  return records.filter(({ job }) => job.arrivalMs >= fromMs && job.arrivalMs < toMs);
}

/** Those that ended within the window, whenever they arrived: what was done in that time. */
export function endedWithin(records, { fromMs, toMs }) {
  return records.filter(({ endedAtMs }) => endedAtMs >= fromMs && endedAtMs < toMs);
}

/** Answers completed within their deadline, per second of the window. */
export function goodput(records, { fromMs, toMs }) {
  return rates(arrivedWithin(records, { fromMs, toMs }), { fromMs, toMs });
}

/** The same of given records, for a window that is so short that what arrives in it is not what ends in it. */
export function rates(records, { fromMs, toMs }) {
  const seconds = (toMs - fromMs) / 1000;
  const completed = records.filter(({ outcome }) => outcome === 'completed');
  return {
    requestsPerSecond: completed.length / seconds,
    tokensPerSecond: sum(completed, ({ answerTokens }) => answerTokens) / seconds,
  };
}

export const OUTCOMES = ['completed', 'refused', 'expired', 'failed', 'aborted'];

/** How they ended: shares of all. */
export function outcomeShares(records) {
  const count = (outcome) => records.filter((record) => record.outcome === outcome).length;
  return Object.fromEntries(OUTCOMES.map((outcome) => [outcome, count(outcome) / records.length]));
}

/** The share of the backend's time that went into answers nobody waited for any more. */
export function wastedShare(records) {
  const wasted = records.filter(({ outcome }) => outcome !== 'completed');
  return (
    sum(wasted, ({ servedMs }) => servedMs) /
    Math.max(
      1,
      sum(records, ({ servedMs }) => servedMs),
    )
  );
}

/** Of those that were started: from the arrival to the start. */
export function queueTimes(records) {
  return spread(
    records.flatMap(({ job, startedAtMs }) =>
      startedAtMs === undefined ? [] : [startedAtMs - job.arrivalMs],
    ),
  );
}

/** Of those that were completed: from the arrival to the end. */
export function latencies(records) {
  return spread(
    records.flatMap(({ job, outcome, endedAtMs }) =>
      outcome === 'completed' ? [endedAtMs - job.arrivalMs] : [],
    ),
  );
}

/** 1: all got the same; 1/n: one of n got everything. */
export function jainIndex(amounts) {
  return sum(amounts, (amount) => amount) ** 2 / (amounts.length * sum(amounts, (amount) => amount ** 2));
}

/** The longest time within the window in which some of these waited and none was started; needs all records. */
export function longestPassedOverMs(records, { fromMs, toMs }) {
  const events = records.flatMap(({ job, startedAtMs, endedAtMs }) => [
    { at: job.arrivalMs, waiting: 1, isStart: false },
    { at: startedAtMs ?? endedAtMs, waiting: -1, isStart: startedAtMs !== undefined },
  ]);
  events.sort((one, other) => one.at - other.at || other.waiting - one.waiting);
  let waiting = 0;
  let since = 0;
  let longest = 0;
  for (const event of events) {
    const isWithin = since >= fromMs && event.at < toMs;
    if (waiting > 0 && isWithin) longest = Math.max(longest, event.at - since);
    if (waiting === 0 || event.isStart) since = event.at;
    waiting += event.waiting;
  }
  return longest;
}

export function sum(values, read) {
  return values.reduce((total, value) => total + read(value), 0);
}

function spread(values) {
  return { p50Ms: percentile(values, 0.5), p99Ms: percentile(values, 0.99), count: values.length };
}
