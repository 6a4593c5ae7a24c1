/** Replicas on one lease ledger, in virtual time of one clock, where every message takes a millisecond. Nothing breaks by itself. */
import { LeaseLedger } from '../../src/leases/lease-ledger.ts';
import { type LeaseSettings, SlotLeases } from '../../src/leases/slot-leases.ts';

const TARGET = 'llama/vllm';

export interface FleetReplica {
  readonly id: string;
  readonly leases: SlotLeases;
  /** It has so many requests that run or wait; a new one for each that ends. */
  demand: number;
  requestMs: number;
  readonly endsAt: number[];
  isStopped: boolean;
  readonly now: number;
  /** What it may use. */
  readonly slots: number;
  readonly basis: string;
  /** Requests that have begun. */
  begun: number;
}

export class LeaseFleet {
  readonly settings: LeaseSettings;
  readonly slots: number;
  readonly replicas: FleetReplica[] = [];
  ledger = new LeaseLedger();
  now = 0;
  /** The store's clock, less that of the replicas. */
  storeAheadMs = 0;
  isStoreAway = false;
  run = 'first';
  renewals = 0;
  maxRunning = 0;
  #joined = 0;
  #messages: { readonly at: number; readonly deliver: () => void }[] = [];

  constructor(slots: number, settings: Partial<LeaseSettings> = {}) {
    this.slots = slots;
    this.settings = { leaseMs: 3000, timeoutMs: 500, onFailure: 'share', ...settings };
  }

  join(demand = 0, requestMs = 100): FleetReplica {
    this.#joined += 1;
    const id = `replica_${this.#joined}`;
    const leases = new SlotLeases(id, this.settings);
    const fleet = this;
    const replica: FleetReplica = {
      id,
      leases,
      demand,
      requestMs,
      endsAt: [],
      isStopped: false,
      begun: 0,
      get now() {
        return fleet.now;
      },
      get slots() {
        return leases.allowance(TARGET, fleet.now).slots;
      },
      get basis() {
        return leases.allowance(TARGET, fleet.now).basis;
      },
    };
    this.replicas.push(replica);
    return replica;
  }

  /** Ends as a process does that is killed: its requests end with it. */
  kill(replica: FleetReplica): void {
    this.replicas.splice(this.replicas.indexOf(replica), 1);
  }

  /** Ends as one that gives back what it has. */
  leave(replica: FleetReplica): void {
    this.kill(replica);
    this.ledger.leave(replica.id, [TARGET]);
  }

  get running(): number {
    return this.replicas.reduce((sum, { endsAt }) => sum + endsAt.length, 0);
  }

  /** Resolves the time that passed until then; throws where that takes too long. */
  until(isReached: () => boolean, atMostMs = 60_000): number {
    const from = this.now;
    while (!isReached()) {
      if (this.now - from > atMostMs) throw new Error(`not within ${atMostMs} ms`);
      this.pass(1);
    }
    return this.now - from;
  }

  pass(milliseconds: number): void {
    for (let left = milliseconds; left > 0; left -= 1) {
      this.now += 1;
      const due = this.#messages.filter(({ at }) => at <= this.now);
      this.#messages = this.#messages.filter(({ at }) => at > this.now);
      for (const { deliver } of due) deliver();
      for (const replica of this.replicas) if (!replica.isStopped) this.#act(replica);
      this.maxRunning = Math.max(this.maxRunning, this.running);
    }
  }

  #act(replica: FleetReplica): void {
    const { leases, endsAt, demand } = replica;
    for (let index = endsAt.length - 1; index >= 0; index -= 1)
      if ((endsAt[index] ?? 0) <= this.now) endsAt.splice(index, 1);
    while (endsAt.length < Math.min(demand, replica.slots)) {
      endsAt.push(this.now + replica.requestMs);
      replica.begun += 1;
    }
    const used = endsAt.length;
    leases.demand([{ target: TARGET, slots: this.slots, used, waiting: Math.max(0, demand - used) }]);
    const dueAt = leases.nextRenewalAt(this.now);
    if (dueAt === undefined || dueAt > this.now) return;
    const renewal = leases.renewal(this.now);
    this.renewals += 1;
    if (this.isStoreAway) {
      this.#messages.push({ at: this.now + 2, deliver: () => leases.failed(renewal.sequence, this.now) });
      return;
    }
    const grants = this.ledger.renew(renewal, { now: this.now + this.storeAheadMs, run: this.run });
    this.#messages.push({ at: this.now + 2, deliver: () => leases.answered(renewal.sequence, grants) });
  }
}
