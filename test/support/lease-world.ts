/**
 * Replicas that share one target's slots by leases, in virtual time, with everything that goes wrong: replicas crash, stop and go on, sleep
 * with their machine, come and leave, their clocks differ and run at different rates; messages are late, lost, or arrive out of order; the store goes away, stands
 * still, comes back empty or as it was a moment ago, with another clock. What the server runs is counted apart from all that the replicas
 * and the store believe. Everything follows from the seed.
 */
import { seededRandom } from '../../src/core/seeded-random.ts';
import { LeaseLedger } from '../../src/leases/lease-ledger.ts';
import type { Renewal, SlotGrant } from '../../src/leases/lease-store.ts';
import { type LeaseSettings, SlotLeases } from '../../src/leases/slot-leases.ts';

const TARGET = 'llama/vllm';
const MAX_STEP_MS = 8;

export interface LeaseWorldOptions {
  readonly seed: number;
  readonly slots: number;
  readonly replicas: number;
  readonly settings: LeaseSettings;
  /** Single replicas lose their way to the store. */
  readonly cutsOff?: boolean;
  /** The store goes away, stands still, restarts, fails over. */
  readonly breaksStore?: boolean;
  /** Replicas crash, stop, sleep, come and leave. */
  readonly breaksReplicas?: boolean;
}

interface RunningRequest {
  readonly endsAt: number;
  /** The lease under which it began has ended at the store: from then on it is not counted, only bounded. */
  isOrphan: boolean;
}

interface Process {
  readonly id: string;
  readonly leases: SlotLeases;
  /** Its own clock: `offset + rate × time`; it stands still while its machine sleeps. */
  offset: number;
  readonly rate: number;
  waiting: number;
  readonly requests: RunningRequest[];
  /** Arrivals in a second. */
  load: number;
  stoppedUntil: number;
  /** Of the time for which it is stopped: its machine sleeps. */
  asleepMs: number;
  cutOffUntil: number;
  inFlight: { readonly sequence: number; readonly timeoutAt: number } | undefined;
  /** When the store last did what it asked. */
  storeHeardAt: number;
}

interface Message {
  readonly at: number;
  readonly deliver: () => void;
}

export class LeaseWorld {
  readonly #options: LeaseWorldOptions;
  readonly #random: () => number;
  #now = 0;
  #processes: Process[] = [];
  /** Requests of processes that have been killed end at once; there is nothing to keep of them. */
  #names = 0;
  #ledger = new LeaseLedger();
  #past: { readonly at: number; readonly ledger: LeaseLedger }[] = [];
  #run = 0;
  #serverOffset = 0;
  #storeAwayUntil = 0;
  #storeStillUntil = 0;
  #messages: Message[] = [];
  /** Grants while as many ran as there are slots. */
  overAdmissions = 0;
  /** Grants by a process that the store no longer counted, while it could have asked. */
  grants = 0;
  grantsAlone = 0;
  maxRunning = 0;
  maxOrphansOfOne = 0;

  constructor(options: LeaseWorldOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    for (let index = 0; index < options.replicas; index += 1) this.#join();
  }

  get now(): number {
    return this.#now;
  }

  get processes(): readonly Pick<Process, 'id' | 'requests' | 'waiting'>[] {
    return this.#processes;
  }

  step(): void {
    this.#now += this.#random() * MAX_STEP_MS;
    this.#deliverMessages();
    this.#markOrphans();
    this.#breakSomething();
    for (const process of this.#processes) this.#runProcess(process);
  }

  #chance(perSecond: number): boolean {
    return this.#random() < (perSecond * MAX_STEP_MS) / 2000;
  }

  #between(from: number, to: number): number {
    return from + this.#random() * (to - from);
  }

  #join(): void {
    this.#names += 1;
    const id = `replica_${this.#names}`;
    this.#processes.push({
      id,
      leases: new SlotLeases(id, this.#options.settings),
      offset: this.#between(-5000, 5000),
      rate: this.#between(0.97, 1.03),
      waiting: 0,
      requests: [],
      load: this.#between(0, this.#options.slots),
      stoppedUntil: 0,
      asleepMs: 0,
      cutOffUntil: 0,
      inFlight: undefined,
      storeHeardAt: Number.NEGATIVE_INFINITY,
    });
  }

  #clockOf({ offset, rate }: Process): number {
    return offset + rate * this.#now;
  }

  #breakSomething(): void {
    const { breaksReplicas = false, breaksStore = false, cutsOff = false, replicas } = this.#options;
    const any = this.#processes[Math.floor(this.#random() * this.#processes.length)];
    if (any !== undefined && this.#chance(0.5))
      any.load = this.#random() < 0.3 ? 0 : this.#between(0, this.#options.slots);
    if (breaksReplicas && any !== undefined) {
      if (this.#chance(0.05)) this.#processes = this.#processes.filter((process) => process !== any);
      if (this.#chance(0.05) && !this.#isStopped(any))
        any.stoppedUntil = this.#now + this.#between(100, 12_000);
      // More often with a renewal under way, which is most dangerous.
      if (this.#chance(any.inFlight === undefined ? 0.05 : 2)) this.#sleep(any);
      if (this.#chance(0.02)) this.#leave(any);
      if (this.#processes.length < replicas && this.#chance(1)) this.#join();
      if (this.#processes.length < replicas * 2 && this.#chance(0.05)) this.#join();
    }
    if (cutsOff && any !== undefined && this.#chance(0.05))
      any.cutOffUntil = this.#now + this.#between(100, 12_000);
    if (breaksStore) this.#breakStore();
  }

  #leave(process: Process): void {
    if (this.#isStopped(process)) return;
    this.#processes = this.#processes.filter((other) => other !== process);
    if (!this.#isAway(process)) this.#ledger.leave(process.id, [TARGET]);
  }

  /** For longer than what goes unseen. */
  #sleep(process: Process): void {
    if (this.#isStopped(process)) return;
    process.asleepMs = this.#between(200, 12_000);
    process.stoppedUntil = this.#now + process.asleepMs;
  }

  #wake(process: Process): void {
    process.offset -= process.rate * process.asleepMs;
    process.asleepMs = 0;
    process.leases.endLeases();
  }

  #breakStore(): void {
    if (this.#past.length === 0 || this.#now - (this.#past.at(-1)?.at ?? 0) > 50) {
      this.#past.push({ at: this.#now, ledger: this.#ledger.copy() });
      if (this.#past.length > 10) this.#past.shift();
    }
    if (this.#chance(0.02)) this.#storeAwayUntil = this.#now + this.#between(50, 15_000);
    // While nobody can ask it, a clock that goes back can't be told from time that has not passed.
    if (this.#chance(0.02) && this.#now >= Math.max(this.#storeAwayUntil, this.#storeStillUntil))
      this.#serverOffset -= this.#between(0, 20_000);
    if (this.#chance(0.02)) this.#storeStillUntil = this.#now + this.#between(50, 8000);
    if (this.#chance(0.02)) {
      this.#ledger = new LeaseLedger();
      this.#run += 1;
    }
    if (this.#chance(0.02)) {
      const before = this.#past[Math.floor(this.#random() * this.#past.length)];
      if (before !== undefined) this.#ledger = before.ledger.copy();
      this.#run += 1;
      this.#serverOffset = this.#between(-5000, 5000);
      this.#storeAwayUntil = this.#now + this.#between(0, 4000);
    }
  }

  #isStopped({ stoppedUntil }: Process): boolean {
    return this.#now < stoppedUntil;
  }

  #isAway({ cutOffUntil }: Process): boolean {
    return this.#now < cutOffUntil || this.#now < this.#storeAwayUntil;
  }

  #deliverMessages(): void {
    const due = this.#messages.filter(({ at }) => at <= this.#now);
    if (due.length === 0) return;
    this.#messages = this.#messages.filter(({ at }) => at > this.#now);
    for (const { deliver } of due.sort((one, other) => one.at - other.at)) deliver();
  }

  #delay(): number {
    if (this.#random() < 0.01) return this.#between(50, 6000);
    return this.#between(0.2, 12);
  }

  #send(process: Process, renewal: Renewal): void {
    if (this.#isAway(process) || this.#random() < 0.01) return;
    const arrive = () => {
      if (this.#now < this.#storeStillUntil) {
        this.#messages.push({ at: this.#storeStillUntil, deliver: arrive });
        return;
      }
      if (this.#now < this.#storeAwayUntil) return;
      const time = { now: this.#now + this.#serverOffset, run: String(this.#run) };
      const grants = this.#ledger.renew(renewal, time);
      this.#markOrphansOf(process);
      if (grants !== undefined) process.storeHeardAt = this.#now;
      if (this.#isAway(process) || this.#random() < 0.01) return;
      this.#messages.push({
        at: this.#now + this.#delay(),
        deliver: () => this.#answer(process, renewal, grants),
      });
    };
    this.#messages.push({ at: this.#now + this.#delay(), deliver: arrive });
  }

  #answer(process: Process, { sequence }: Renewal, grants: readonly SlotGrant[] | undefined): void {
    if (!this.#processes.includes(process)) return;
    if (this.#isStopped(process)) {
      // It waits in the socket; whether it or the time-out comes first when the process goes on is open.
      this.#messages.push({
        at: process.stoppedUntil + (this.#random() < 0.5 ? 0 : 20),
        deliver: () => this.#answer(process, { sequence } as Renewal, grants),
      });
      return;
    }
    if (process.inFlight?.sequence !== sequence) return;
    process.inFlight = undefined;
    process.leases.answered(sequence, grants);
  }

  #runProcess(process: Process): void {
    // At the server, what a stopped process has in flight goes on.
    for (let index = process.requests.length - 1; index >= 0; index -= 1)
      if ((process.requests[index]?.endsAt ?? 0) <= this.#now && !this.#isStopped(process))
        process.requests.splice(index, 1);
    if (this.#isStopped(process)) return;
    if (process.asleepMs > 0) this.#wake(process);
    if (this.#chance(process.load)) process.waiting = Math.min(200, process.waiting + 1);
    const { leases } = process;
    const now = this.#clockOf(process);
    this.#grant(process, now);
    leases.demand([
      {
        target: TARGET,
        slots: this.#options.slots,
        used: process.requests.length,
        waiting: process.waiting,
      },
    ]);
    if (process.inFlight !== undefined && process.inFlight.timeoutAt <= now) {
      leases.failed(process.inFlight.sequence, now);
      process.inFlight = undefined;
    }
    const dueAt = leases.nextRenewalAt(now);
    if (dueAt === undefined || dueAt > now) return;
    const renewal = leases.renewal(now);
    process.inFlight = {
      sequence: renewal.sequence,
      timeoutAt: now + this.#options.settings.timeoutMs,
    };
    this.#send(process, renewal);
  }

  #grant(process: Process, now: number): void {
    while (process.waiting > 0) {
      const { slots, basis } = process.leases.allowance(TARGET, now);
      if (process.requests.length >= slots) return;
      process.waiting -= 1;
      const running = this.#running();
      if (running >= this.#options.slots) this.overAdmissions += 1;
      this.grants += 1;
      if (basis === 'even_share') this.grantsAlone += 1;
      this.maxRunning = Math.max(this.maxRunning, running + 1);
      const lengthMs = this.#random() < 0.1 ? this.#between(500, 20_000) : this.#between(20, 600);
      process.requests.push({ endsAt: this.#now + lengthMs, isOrphan: false });
    }
  }

  /** What runs at the server, without what outlived its lease. */
  #running(): number {
    let running = 0;
    for (const { requests } of this.#processes)
      for (const { isOrphan } of requests) if (!isOrphan) running += 1;
    return running;
  }

  #markOrphans(): void {
    for (const process of this.#processes) this.#markOrphansOf(process);
  }

  #markOrphansOf({ storeHeardAt, leases, requests, ...process }: Process): void {
    if (this.#now < storeHeardAt + this.#options.settings.leaseMs) return;
    // What it begins alone, from then on, is counted.
    if (leases.allowance(TARGET, process.offset + process.rate * this.#now).basis === 'even_share') return;
    for (const request of requests) request.isOrphan = true;
    this.maxOrphansOfOne = Math.max(this.maxOrphansOfOne, requests.length);
  }
}
