/**
 * One queue under one load, under a virtual clock: the time jumps from event to event, so hours take seconds. Invariant: every job ends
 * exactly once, and its record says how.
 */
import type { Milliseconds } from '../core/clock.ts';
import type { Priority } from '../core/priority.ts';
import type { Settlement } from '../scheduling/decision.ts';
import { Heap, heapNode } from '../scheduling/heap.ts';

/** What arrives. Times are absolute. */
export interface Job {
  readonly id: string;
  readonly client: string;
  readonly priority: Priority;
  readonly arrivalMs: Milliseconds;
  readonly promptTokens: number;
  readonly answerTokens: number;
  readonly deadlineMs: Milliseconds;
  /** When its client gives it up; undefined: it does not. */
  readonly abortAtMs?: Milliseconds | undefined;
}

export type JobOutcome = 'completed' | 'refused' | 'expired' | 'failed' | 'aborted';

export interface JobRecord<Kind extends Job> {
  readonly job: Kind;
  /** Undefined: never. */
  readonly startedAtMs: Milliseconds | undefined;
  readonly endedAtMs: Milliseconds;
  /** Time that its slot spent on it. */
  readonly servedMs: Milliseconds;
  readonly answerTokens: number;
  readonly cachedTokens?: number | undefined;
  /** From its start; undefined where there was none. */
  readonly firstTokenMs?: Milliseconds | undefined;
  /** refused: at once; expired: it left the queue after waiting; failed: its deadline came while it ran; aborted: by its client. */
  readonly outcome: JobOutcome;
  /** Of a rejection. */
  readonly code?: string;
}

interface StoppedJob {
  readonly servedMs: Milliseconds;
  readonly settlement: Settlement;
}

export interface SimulatedBackend<Kind extends Job> {
  readonly running: number;
  start(job: Kind, now: Milliseconds): void;
  /** Before its end. */
  stop(job: Kind, now: Milliseconds): StoppedJob;
  /** Those that are finished by then. */
  takeEnded(now: Milliseconds): readonly (StoppedJob & { readonly job: Kind })[];
  /** When to look again; infinity: nothing runs. */
  nextEndAt(): Milliseconds;
}

/** What decides who runs when. */
export interface Contestant<Kind extends Job> {
  readonly waiting: number;
  readonly running: number;
  arrive(job: Kind, now: Milliseconds): void;
  /** Its client left while it waited. */
  leave(job: Kind, now: Milliseconds): void;
  ended(job: Kind, settlement: Settlement, now: Milliseconds): void;
  decide(now: Milliseconds): {
    readonly started: readonly Kind[];
    readonly rejected: readonly { readonly job: Kind; readonly code: string }[];
  };
  nextWakeAt(): Milliseconds | undefined;
}

interface Simulation<Kind extends Job> {
  readonly backend: SimulatedBackend<Kind>;
  readonly contestant: Contestant<Kind>;
  /** They arrive whatever happens. */
  readonly jobs: readonly Kind[];
  /** For clients that wait for an answer before they ask again: the jobs that follow a record. */
  readonly follow?: (record: JobRecord<Kind>, now: Milliseconds) => readonly Kind[];
}

interface LiveJob<Kind> {
  startedAtMs: Milliseconds | undefined;
  readonly departure: ReturnType<typeof heapNode<Kind>>;
}

/** Returns a record for each job, in the order of their ends, and what is left at the end, which must be nothing. */
export function simulate<Kind extends Job>(
  given: Simulation<Kind>,
): {
  readonly records: readonly JobRecord<Kind>[];
  readonly left: {
    readonly waiting: number;
    readonly running: number;
    readonly unanswered: number;
    readonly atBackend: number;
  };
} {
  const { backend, contestant, jobs, follow = () => [] } = given;
  const arrivals = new Heap<Kind>();
  const departures = new Heap<Kind>();
  const live = new Map<string, LiveJob<Kind>>();
  const records: JobRecord<Kind>[] = [];
  let expected = 0;

  const expect = (job: Kind) => {
    expected += 1;
    arrivals.put(heapNode(job), job.arrivalMs, expected);
  };
  const end = (job: Kind, how: Pick<JobRecord<Kind>, 'outcome'> & Partial<JobRecord<Kind>>, now: number) => {
    const known = liveJob(live, job);
    live.delete(job.id);
    departures.remove(known.departure);
    const record = {
      job,
      startedAtMs: known.startedAtMs,
      endedAtMs: now,
      servedMs: 0,
      answerTokens: 0,
      ...how,
    };
    records.push(record);
    for (const next of follow(record, now)) expect(next);
  };
  const depart = (job: Kind, now: number) => {
    const isAbort = job.abortAtMs !== undefined && job.abortAtMs <= now;
    if (liveJob(live, job).startedAtMs === undefined) {
      contestant.leave(job, now);
      end(job, { outcome: isAbort ? 'aborted' : 'expired' }, now);
      return;
    }
    const { servedMs, settlement } = backend.stop(job, now);
    contestant.ended(job, settlement, now);
    end(job, { outcome: isAbort ? 'aborted' : 'failed', servedMs, ...usedOf(settlement) }, now);
  };
  const arrive = (job: Kind, now: number) => {
    const departure = heapNode(job);
    live.set(job.id, { startedAtMs: undefined, departure });
    departures.put(departure, Math.min(job.deadlineMs, job.abortAtMs ?? Number.POSITIVE_INFINITY), 0);
    contestant.arrive(job, now);
  };
  const perform = (now: number) => {
    const { started, rejected } = contestant.decide(now);
    for (const job of started) {
      liveJob(live, job).startedAtMs = now;
      backend.start(job, now);
    }
    for (const { job, code } of rejected)
      end(job, { outcome: job.arrivalMs === now ? 'refused' : 'expired', code }, now);
  };

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
      const outcome = settlement.outcome === 'failed' ? 'failed' : 'completed';
      end(job, { outcome, servedMs, ...usedOf(settlement) }, now);
    }
    for (let node = departures.nodes[0]; node && node.key <= now; node = departures.nodes[0])
      depart(node.value, now);
    for (let node = arrivals.nodes[0]; node && node.key <= now; node = arrivals.nodes[0]) {
      arrivals.remove(node);
      arrive(node.value, now);
    }
    perform(now);
  }
  const { waiting, running } = contestant;
  return { records, left: { waiting, running, unanswered: live.size, atBackend: backend.running } };
}

function liveJob<Kind extends Job>(live: ReadonlyMap<string, LiveJob<Kind>>, { id }: Kind): LiveJob<Kind> {
  const known = live.get(id);
  if (known === undefined) throw new Error(`the job ${id} has ended already`);
  return known;
}

function usedOf({ answerTokens, cachedTokens, firstTokenMs }: Settlement) {
  return { answerTokens, cachedTokens, firstTokenMs };
}
