/**
 * One replica of a simulated fleet: the real scheduler and the real policy of slot leases, with virtual time. All that comes within a
 * millisecond is one turn of its event loop.
 */
import type { Milliseconds } from '../../core/clock.ts';
import { evenShare } from '../../leases/fair-shares.ts';
import type { Renewal, SlotGrant } from '../../leases/lease-store.ts';
import { SlotLeases, type TargetDemand } from '../../leases/slot-leases.ts';
import type { SchedulerOptions } from '../../scheduling/decision.ts';
import type { PrefixFingerprint } from '../../scheduling/prefix-fingerprint.ts';
import { Scheduler } from '../../scheduling/scheduler.ts';
import type { ServedJob, SharedServer } from './shared-server.ts';

export interface FleetJob extends ServedJob {
  readonly id: string;
  readonly client: string;
  readonly arrivalMs: Milliseconds;
  readonly promptTokens: number;
  readonly prefix: PrefixFingerprint | undefined;
  startedMs: Milliseconds | undefined;
  server: number | undefined;
}

/** How replicas divide the slots of servers: by leases; each always its N-th part; or not at all: each takes all for its own. */
export type SlotSharing = 'leases' | 'even' | 'none';

export interface ReplicaOptions {
  readonly name: string;
  readonly rank: number;
  readonly replicas: number;
  readonly sharing: SlotSharing;
  readonly leaseMs: Milliseconds;
  readonly queueTimeoutMs: Milliseconds;
  readonly scheduler: SchedulerOptions;
  readonly servers: readonly SharedServer<FleetJob>[];
  readonly onStart: (job: FleetJob, now: Milliseconds) => void;
  readonly onReject: (job: FleetJob, code: string) => void;
  /** On its way to the lease store. */
  readonly onRenewal: (renewal: Renewal) => void;
}

export const MODEL = 'm';
/** How long it waits for the lease store. */
export const LEASE_TIMEOUT_MS: Milliseconds = 500;

export class FleetReplica {
  readonly #options: ReplicaOptions;
  readonly #scheduler: Scheduler;
  readonly #leases: SlotLeases;
  readonly #waiting = new Map<string, FleetJob>();
  readonly running = new Set<FleetJob>();
  #ended: FleetJob[] = [];
  /** When its allowances are to be read again. */
  #allowedUntil: Milliseconds = 0;
  #wakeAt: Milliseconds | undefined = 0;
  isStopped = false;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler(options.scheduler);
    this.#leases = new SlotLeases(options.name, {
      leaseMs: options.leaseMs,
      timeoutMs: LEASE_TIMEOUT_MS,
      onFailure: 'share',
    });
    const { servers, sharing, replicas, rank } = options;
    for (const [index, { slots }] of servers.entries()) {
      const isShared = sharing === 'leases';
      const given = sharing === 'even' ? evenShare({ slots, replicas, rank, offset: index }) : slots;
      this.#scheduler.setTarget(
        { id: String(index), model: MODEL, slots: given, isShared, state: 'ready' },
        0,
      );
    }
  }

  isDue(now: Milliseconds): boolean {
    return this.#ended.length > 0 || (this.#wakeAt !== undefined && this.#wakeAt <= now);
  }

  /** What waits, and what runs. A stopped one does not know yet what has ended. */
  unfinished(): readonly FleetJob[] {
    return [...this.#waiting.values(), ...this.running].filter(({ isGone }) => !isGone);
  }

  ended(job: FleetJob): void {
    this.#ended.push(job);
  }

  answered(sequence: number, grants: readonly SlotGrant[] | undefined, now: Milliseconds): void {
    this.#leases.answered(sequence, grants);
    this.#allowedUntil = now;
    this.#wakeAt = now;
  }

  failed(sequence: number, now: Milliseconds): void {
    this.#leases.failed(sequence, now);
    this.#allowedUntil = now;
    this.#wakeAt = now;
  }

  /** 1. what has ended gives back its slot; 2. what has come waits; 3. slots as they are now; 4. decisions; 5. what it needs, to the store. */
  turn(arrived: readonly FleetJob[], now: Milliseconds): void {
    const scheduler = this.#scheduler;
    for (const job of this.#ended) {
      this.running.delete(job);
      scheduler.release(
        job.id,
        {
          outcome: 'completed',
          promptTokens: job.promptTokens,
          answerTokens: job.tokens,
          firstTokenMs: undefined,
        },
        now,
      );
    }
    this.#ended = [];
    const { queueTimeoutMs, sharing } = this.#options;
    for (const job of arrived) {
      this.#waiting.set(job.id, job);
      scheduler.enqueue(
        {
          id: job.id,
          model: MODEL,
          client: job.client,
          priority: 'normal',
          promptTokens: job.promptTokens,
          maxTokens: undefined,
          maxTokensIsDefault: true,
          prefix: job.prefix,
          sizeBytes: 0,
          expiresAt: now + queueTimeoutMs,
          deadlineAt: Number.POSITIVE_INFINITY,
        },
        now,
      );
    }
    if (sharing === 'leases' && now >= this.#allowedUntil) this.#readAllowances(now);
    this.#decide(now);
    this.#demand(now);
  }

  #decide(now: Milliseconds): void {
    const { onStart, onReject } = this.#options;
    for (const decision of this.#scheduler.tick(now)) {
      if (decision.type === 'reject') {
        onReject(this.#take(decision.id), decision.code);
        continue;
      }
      for (const { id, target } of decision.batch.members) {
        const job = this.#take(id);
        job.server = Number(target);
        this.running.add(job);
        onStart(job, now);
      }
    }
  }

  #take(id: string): FleetJob {
    const job = this.#waiting.get(id);
    if (job === undefined) throw new Error(`the job ${id} does not wait`);
    this.#waiting.delete(id);
    return job;
  }

  #readAllowances(now: Milliseconds): void {
    let until = Number.POSITIVE_INFINITY;
    for (const [index] of this.#options.servers.entries()) {
      const lease = this.#leases.allowance(String(index), now);
      until = Math.min(until, lease.until);
      this.#scheduler.setLease({ id: String(index), model: MODEL }, lease, now);
    }
    this.#allowedUntil = until;
  }

  #demand(now: Milliseconds): void {
    const { sharing, servers, onRenewal } = this.#options;
    this.#wakeAt = this.#scheduler.nextWakeAt();
    if (sharing !== 'leases') return;
    // Each runs at one of them only.
    const waiting = Math.ceil(this.#waiting.size / servers.length);
    const demands: TargetDemand[] = servers.map(({ slots }, index) => {
      const target = String(index);
      return { target, slots, used: this.#scheduler.usedOf({ id: target, model: MODEL }).slots, waiting };
    });
    this.#leases.demand(demands);
    let renewAt = this.#leases.nextRenewalAt(now);
    if (renewAt !== undefined && renewAt <= now) {
      onRenewal(this.#leases.renewal(now));
      renewAt = undefined;
    }
    this.#wakeAt = Math.min(
      this.#wakeAt ?? Number.POSITIVE_INFINITY,
      renewAt ?? Number.POSITIVE_INFINITY,
      this.#allowedUntil,
    );
  }
}
