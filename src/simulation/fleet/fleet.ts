/**
 * A fleet under one load, in virtual time: replicas with the real scheduler and the real leases, servers that they share, a lease store,
 * the network between them, and what breaks. Everything follows from the seed.
 * Invariant: every request that came ends exactly once, or is under way at the end.
 */
import type { Milliseconds } from '../../core/clock.ts';
import { LeaseLedger, MIN_RECOVERY_MS } from '../../leases/lease-ledger.ts';
import type { Renewal } from '../../leases/lease-store.ts';
import type { SchedulerOptions } from '../../scheduling/decision.ts';
import type { PrefixFingerprint } from '../../scheduling/prefix-fingerprint.ts';
import { type RandomSource, randomSource } from '../random.ts';
import { Calendar } from './calendar.ts';
import { FleetFigures, type FleetResult } from './figures.ts';
import { type FleetJob, FleetReplica, LEASE_TIMEOUT_MS } from './fleet-replica.ts';
import type { FleetSetup } from './fleet-setup.ts';
import { SharedServer } from './shared-server.ts';

const SCHEDULER: Omit<SchedulerOptions, 'routing'> = {
  mode: 'eager',
  order: 'fair',
  maxBatchSize: 4096,
  windowMs: 0,
  maxQueue: 100_000,
  maxQueuePerClient: Number.POSITIVE_INFINITY,
  maxQueueBytes: Number.POSITIVE_INFINITY,
  maxBatchTokens: Number.POSITIVE_INFINITY,
  maxTokensInFlight: Number.POSITIVE_INFINITY,
  agingMs: 10_000,
  maxOvertakes: 4,
};
const PROMPT_TOKENS = 64;
/** After the lease store grants, until each replica has its first block. */
const QUIET_MS: Milliseconds = 1000;

interface Place {
  replica: FleetReplica;
  readonly ratePerMs: number;
}

export function simulateFleet(setup: FleetSetup, cpuNow: () => Milliseconds): FleetResult {
  return new Fleet(setup, cpuNow).run();
}

class Fleet {
  readonly #setup: FleetSetup;
  readonly #cpuNow: () => Milliseconds;
  readonly #random: RandomSource;
  readonly #calendar = new Calendar();
  readonly #ledger = new LeaseLedger();
  readonly #figures: FleetFigures;
  readonly #servers: readonly SharedServer<FleetJob>[];
  readonly #places: readonly Place[];
  readonly #replicaOf = new Map<FleetJob, FleetReplica>();
  #now: Milliseconds = 0;
  #jobs = 0;
  #names = 0;

  constructor(setup: FleetSetup, cpuNow: () => Milliseconds) {
    this.#setup = setup;
    this.#cpuNow = cpuNow;
    this.#random = randomSource(setup.seed);
    this.#figures = new FleetFigures(setup);
    this.#servers = Array.from(
      { length: setup.servers },
      () =>
        new SharedServer<FleetJob>(setup.slotsPerServer, this.#calendar, (job, now) => this.#end(job, now)),
    );
    const weights = Array.from({ length: setup.replicas }, (_, index) => 1 / (index + 1) ** setup.skew);
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    this.#places = weights.map((weight, rank) => ({
      replica: this.#newReplica(rank),
      ratePerMs: (setup.offeredPerSecond * weight) / all / 1000,
    }));
  }

  run(): FleetResult {
    const endMs = (this.#setup.warmUpSeconds + this.#setup.seconds) * 1000;
    let decidingMs = 0;
    for (this.#now = 1; this.#now <= endMs; this.#now += 1) {
      this.#calendar.runAt(this.#now);
      this.#break();
      const isQuiet = this.#now < MIN_RECOVERY_MS + QUIET_MS;
      const arrivals = this.#places.map(({ ratePerMs }) => (isQuiet ? [] : this.#arrivals(ratePerMs)));
      const before = this.#cpuNow();
      for (const [index, { replica }] of this.#places.entries()) {
        const arrived = arrivals[index] ?? [];
        if (replica.isStopped) for (const job of arrived) this.#figures.failed(job, this.#now);
        else if (arrived.length > 0 || replica.isDue(this.#now)) replica.turn(arrived, this.#now);
      }
      decidingMs += this.#cpuNow() - before;
    }
    const underWay = this.#places.reduce((sum, { replica }) => sum + replica.unfinished().length, 0);
    return this.#figures.result({ servers: this.#servers, underWay, decidingMs });
  }

  #newReplica(rank: number): FleetReplica {
    const { replicas, sharing, leaseMs, queueTimeoutMs, conversations } = this.#setup;
    this.#names += 1;
    const replica: FleetReplica = new FleetReplica({
      name: `replica_${this.#names}`,
      rank,
      replicas,
      sharing,
      leaseMs,
      queueTimeoutMs,
      scheduler: {
        ...SCHEDULER,
        routing: { policy: 'load', prefixAffinity: conversations > 0, random: this.#random.next },
      },
      servers: this.#servers,
      onStart: (job, now) => {
        job.startedMs = now;
        this.#replicaOf.set(job, replica);
        this.#figures.started(job, now);
        this.#servers[job.server ?? 0]?.start(job, now);
      },
      onReject: (job) => this.#figures.failed(job, this.#now),
      onRenewal: (renewal) => this.#renew(replica, renewal),
    });
    return replica;
  }

  #renew(replica: FleetReplica, renewal: Renewal): void {
    this.#figures.renewed(this.#now);
    const { sequence } = renewal;
    const failsAt = this.#now + LEASE_TIMEOUT_MS;
    if (this.#isStoreAway()) {
      this.#calendar.at(failsAt, () => replica.failed(sequence, this.#now));
      return;
    }
    this.#calendar.at(this.#now + this.#delay(), () => {
      const grants = this.#ledger.renew(renewal, { now: this.#now, run: 'one' });
      const deliver = () => {
        if (!replica.isStopped) replica.answered(sequence, grants, this.#now);
        // It waits in the socket.
        else this.#calendar.at(this.#now + 1, deliver);
      };
      this.#calendar.at(this.#now + this.#delay(), deliver);
    });
  }

  #isStoreAway(): boolean {
    const { storeAwayFromMs = Number.POSITIVE_INFINITY, storeAwayForMs = 0 } = this.#setup.faults ?? {};
    return this.#now >= storeAwayFromMs && this.#now < storeAwayFromMs + storeAwayForMs;
  }

  #delay(): Milliseconds {
    return this.#setup.networkMs * (0.5 + this.#random.next());
  }

  #end(job: FleetJob, now: Milliseconds): void {
    const replica = this.#replicaOf.get(job);
    this.#replicaOf.delete(job);
    this.#figures.completed(job, now);
    replica?.ended(job);
  }

  #break(): void {
    const { crashesPerSecond = 0, pausesPerSecond = 0, pauseMs = 0 } = this.#setup.faults ?? {};
    if (crashesPerSecond > 0 && this.#random.next() < crashesPerSecond / 1000) this.#crash();
    if (pausesPerSecond > 0 && this.#random.next() < pausesPerSecond / 1000) this.#pause(pauseMs);
  }

  #anyPlace(): { readonly place: Place; readonly rank: number } {
    const rank = this.#random.integer(0, this.#places.length - 1);
    return { place: this.#places[rank] as Place, rank };
  }

  #crash(): void {
    const { place, rank } = this.#anyPlace();
    for (const job of place.replica.unfinished()) {
      if (job.server !== undefined) this.#servers[job.server]?.abandon(job, this.#now);
      this.#replicaOf.delete(job);
      this.#figures.failed(job, this.#now);
    }
    place.replica = this.#newReplica(rank);
  }

  /** What it has in flight goes on at the servers, also when its lease has ended. */
  #pause(pauseMs: Milliseconds): void {
    const { replica } = this.#anyPlace().place;
    if (replica.isStopped) return;
    replica.isStopped = true;
    this.#calendar.at(this.#now + pauseMs, () => {
      replica.isStopped = false;
    });
    if (pauseMs < this.#setup.leaseMs) return;
    this.#calendar.at(this.#now + this.#setup.leaseMs, () => {
      for (const job of replica.running) this.#servers[job.server ?? 0]?.orphan(job);
    });
  }

  #arrivals(ratePerMs: number): readonly FleetJob[] {
    const count = poisson(ratePerMs, this.#random);
    if (count === 0) return [];
    return Array.from({ length: count }, () => this.#newJob());
  }

  #newJob(): FleetJob {
    const { answerTokens, msPerToken, promptMs, conversations } = this.#setup;
    const random = this.#random;
    this.#jobs += 1;
    const tokens = Math.max(1, Math.round(random.exponential(answerTokens)));
    const job: FleetJob = {
      id: String(this.#jobs),
      client: this.#anyClient(),
      arrivalMs: this.#now,
      tokens,
      promptTokens: PROMPT_TOKENS,
      serviceMs: promptMs + tokens * msPerToken,
      prefix: conversations === 0 ? undefined : conversation(random.integer(0, conversations - 1)),
      ...{ isOrphan: false, isGone: false, waitedMs: 0 },
      ...{ startedMs: undefined, server: undefined },
    };
    this.#figures.arrived(job, this.#now);
    return job;
  }

  #anyClient(): string {
    const { clients, heavyShare } = this.#setup;
    if (heavyShare === undefined) return String(this.#random.integer(0, clients - 1));
    return this.#random.next() < heavyShare ? '0' : String(this.#random.integer(1, clients - 1));
  }
}

function poisson(mean: number, random: RandomSource): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}

/** Long enough to be worth continuing. */
function conversation(number: number): PrefixFingerprint {
  const hash = number * 2_654_435_761;
  return { ends: [4096], hashes: [hash], beginning: hash };
}
