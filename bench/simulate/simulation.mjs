// One contestant under one load, under a virtual clock: the time jumps from event to event, so hours take seconds.
// Invariant: every job ends exactly once, and its record says how.
import { SharedBackend } from './shared-backend.mjs';

const { Heap, heapNode } = await import('../../dist/scheduling/heap.js');

/**
 * `backend`: its parameters (service.mjs); `createContestant`: makes one for it; `jobs`: what arrives whatever happens;
 * `follow`: for clients that wait for an answer before they ask again, given a record the jobs that follow it, if any.
 * Returns what is left at the end, which must be nothing, and a record per job: `startedAtMs` (undefined: never),
 * `endedAtMs`, `servedMs`, `answerTokens`, `cachedTokens`, `firstTokenMs` (from its start) and how it ended: completed; refused (at once); expired (it left the queue
 * after waiting); failed (its deadline came while it ran); aborted (by its client).
 */
export function simulate({ backend: parameters, createContestant, jobs, follow = () => [] }) {
  const backend = new SharedBackend(parameters);
  const contestant = createContestant(parameters);
  const arrivals = new Heap();
  const departures = new Heap();
  const live = new Map();
  const records = [];

  const expect = (job) => arrivals.put(heapNode(job), job.arrivalMs, ++expected);
  const end = (job, how, now) => {
    const { startedAtMs, departure } = live.get(job.id);
    live.delete(job.id);
    departures.remove(departure);
    const record = { job, startedAtMs, endedAtMs: now, servedMs: 0, answerTokens: 0, ...how };
    records.push(record);
    for (const next of follow(record, now)) expect(next);
  };
  const depart = (job, now) => {
    const { startedAtMs } = live.get(job.id);
    const isAbort = job.abortAtMs !== undefined && job.abortAtMs <= now;
    if (startedAtMs === undefined) {
      contestant.leave(job, now);
      end(job, { outcome: isAbort ? 'aborted' : 'expired' }, now);
      return;
    }
    const { servedMs, settlement } = backend.stop(job, now);
    contestant.ended(job, settlement, now);
    end(job, { outcome: isAbort ? 'aborted' : 'failed', servedMs, ...usedOf(settlement) }, now);
  };
  const arrive = (job, now) => {
    const departure = heapNode(job);
    live.set(job.id, { startedAtMs: undefined, departure });
    departures.put(departure, Math.min(job.deadlineMs, job.abortAtMs ?? Number.POSITIVE_INFINITY), 0);
    contestant.arrive(job, now);
  };
  const perform = ({ started, rejected }, now) => {
    for (const job of started) {
      live.get(job.id).startedAtMs = now;
      backend.start(job, now);
    }
    for (const { job, code } of rejected) {
      end(job, { outcome: job.arrivalMs === now ? 'refused' : 'expired', code }, now);
    }
  };

  let expected = 0;
  for (const job of jobs) expect(job);
  for (;;) {
    const now = Math.min(
      arrivals.first?.arrivalMs ?? Number.POSITIVE_INFINITY,
      departures.nodes[0]?.key ?? Number.POSITIVE_INFINITY,
      backend.nextEndAt(),
      contestant.nextWakeAt() ?? Number.POSITIVE_INFINITY,
    );
    if (now === Number.POSITIVE_INFINITY) break;
    for (const { job, servedMs, settlement } of backend.takeEnded(now)) {
      contestant.ended(job, settlement, now);
      end(job, { outcome: 'completed', servedMs, ...usedOf(settlement) }, now);
    }
    while (departures.nodes[0]?.key <= now) depart(departures.first, now);
    while (arrivals.first?.arrivalMs <= now) {
      const { first } = arrivals;
      arrivals.remove(arrivals.nodes[0]);
      arrive(first, now);
    }
    perform(contestant.decide(now), now);
  }
  const { waiting, running } = contestant;
  return { records, left: { waiting, running, unanswered: live.size, atBackend: backend.running } };
}

function usedOf({ answerTokens, cachedTokens, firstTokenMs }) {
  return { answerTokens, cachedTokens, firstTokenMs };
}
