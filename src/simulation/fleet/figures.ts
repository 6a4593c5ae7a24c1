/** What a simulated fleet did, between its warm-up and its end. */
import type { Milliseconds } from '../../core/clock.ts';
import { quantile } from '../../core/quantile.ts';
import type { FleetJob } from './fleet-replica.ts';
import type { FleetSetup } from './fleet-setup.ts';
import type { SharedServer } from './shared-server.ts';

export interface FleetResult {
  readonly offered: number;
  readonly completed: number;
  /** Rejected, expired in the queue, or lost with their replica. */
  readonly failed: number;
  /** At the end. */
  readonly underWay: number;
  /** Tokens of completed answers, as a part of what all slots together can compute. */
  readonly goodput: number;
  /** In the replica's queue; of those that began. */
  readonly queueMs: { readonly p50: Milliseconds; readonly p99: Milliseconds };
  /** Behind that, in the server's own queue. */
  readonly hiddenMs: { readonly p99: Milliseconds };
  readonly overAdmissions: number;
  /** Requests at the fullest server at a time, as a part of its slots. */
  readonly maxPresent: number;
  /** Of each client: tokens of completed answers, as a part of what it offered. */
  readonly servedShares: readonly number[];
  readonly servedTokens: readonly number[];
  /** Of the requests of conversations: those that came to the server of the one before. */
  readonly sameServer: number;
  readonly renewalsPerSecond: number;
  /** CPU time of scheduler and leases for each request that came, in all replicas. */
  readonly decisionUs: number;
}

export class FleetFigures {
  readonly #setup: FleetSetup;
  readonly #queueMs: number[] = [];
  readonly #hiddenMs: number[] = [];
  readonly #offeredTokens: number[];
  readonly #servedTokens: number[];
  readonly #lastServer = new Map<number, number>();
  #offered = 0;
  #completed = 0;
  #failed = 0;
  #arrivedInAll = 0;
  #renewals = 0;
  #continued = 0;
  #sameServer = 0;

  constructor(setup: FleetSetup) {
    this.#setup = setup;
    this.#offeredTokens = new Array(setup.clients).fill(0);
    this.#servedTokens = new Array(setup.clients).fill(0);
  }

  arrived({ client, tokens }: FleetJob, now: Milliseconds): void {
    this.#arrivedInAll += 1;
    if (!this.#counts(now)) return;
    this.#offered += 1;
    this.#offeredTokens[Number(client)] = (this.#offeredTokens[Number(client)] ?? 0) + tokens;
  }

  started({ arrivalMs, prefix, server = 0 }: FleetJob, now: Milliseconds): void {
    if (prefix?.beginning !== undefined) {
      const before = this.#lastServer.get(prefix.beginning);
      this.#lastServer.set(prefix.beginning, server);
      if (before !== undefined && this.#counts(now)) {
        this.#continued += 1;
        if (before === server) this.#sameServer += 1;
      }
    }
    if (this.#counts(now)) this.#queueMs.push(now - arrivalMs);
  }

  completed({ client, tokens, waitedMs }: FleetJob, now: Milliseconds): void {
    if (!this.#counts(now)) return;
    this.#completed += 1;
    this.#hiddenMs.push(waitedMs);
    this.#servedTokens[Number(client)] = (this.#servedTokens[Number(client)] ?? 0) + tokens;
  }

  failed(_: FleetJob, now: Milliseconds): void {
    if (this.#counts(now)) this.#failed += 1;
  }

  renewed(now: Milliseconds): void {
    if (this.#counts(now)) this.#renewals += 1;
  }

  result({
    servers,
    underWay,
    decidingMs,
  }: {
    readonly servers: readonly SharedServer<FleetJob>[];
    readonly underWay: number;
    readonly decidingMs: Milliseconds;
  }): FleetResult {
    const { seconds, slotsPerServer, answerTokens, msPerToken, promptMs } = this.#setup;
    const served = this.#servedTokens.reduce((sum, tokens) => sum + tokens, 0);
    const perSlot = (answerTokens / (promptMs + answerTokens * msPerToken)) * 1000;
    return {
      offered: this.#offered,
      completed: this.#completed,
      failed: this.#failed,
      underWay,
      goodput: served / (perSlot * slotsPerServer * servers.length * seconds),
      queueMs: { p50: percentile(this.#queueMs, 0.5), p99: percentile(this.#queueMs, 0.99) },
      hiddenMs: { p99: percentile(this.#hiddenMs, 0.99) },
      overAdmissions: servers.reduce((sum, { overAdmissions }) => sum + overAdmissions, 0),
      maxPresent: Math.max(...servers.map(({ maxPresent, slots }) => maxPresent / slots)),
      servedShares: this.#servedTokens.map((tokens, client) => tokens / (this.#offeredTokens[client] || 1)),
      servedTokens: this.#servedTokens,
      sameServer: this.#continued === 0 ? 0 : this.#sameServer / this.#continued,
      renewalsPerSecond: this.#renewals / seconds,
      decisionUs: (decidingMs * 1000) / Math.max(1, this.#arrivedInAll),
    };
  }

  #counts(now: Milliseconds): boolean {
    return now > this.#setup.warmUpSeconds * 1000;
  }
}

function percentile(values: readonly number[], share: number): number {
  return values.length === 0 ? 0 : quantile(Float64Array.from(values).sort(), share);
}
