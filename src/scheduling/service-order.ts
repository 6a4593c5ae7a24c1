/**
 * The order in which eligible requests are served. Classes are strict: the highest goes first, unless a lower one has been starved
 * for `agingMs` since its own last grant; then it gets the next free slot. So the k-th request of a class is starved for at
 * most k × agingMs, and a flood in a lower class costs the higher ones at most one grant in that time. Within a class the
 * flows share.
 */
import type { Milliseconds } from '../core/clock.ts';
import { PRIORITIES, type Priority } from '../core/priority.ts';
import { FairShare, type Flow } from './fair-share.ts';
import type { WorkAhead } from './latency-estimator.ts';
import type { QueuedRequest } from './queued-request.ts';
import { WorkSum } from './work.ts';

interface PriorityClass {
  readonly share: FairShare<QueuedRequest>;
  /** The first grant to a higher class while this one waited, since its own last grant. */
  starvedSince: Milliseconds | undefined;
}

export class ServiceOrder {
  readonly #agingMs: Milliseconds;
  readonly #classes = new Map<Priority, PriorityClass>();

  constructor({ agingMs }: { readonly agingMs: Milliseconds }) {
    this.#agingMs = agingMs;
    for (const priority of PRIORITIES)
      this.#classes.set(priority, {
        share: new FairShare<QueuedRequest>(),
        starvedSince: undefined,
      });
  }

  get work(): WorkSum {
    const sum = new WorkSum();
    for (const { share } of this.#classes.values()) sum.add(share.work);
    return sum;
  }

  get isEmpty(): boolean {
    for (const { share } of this.#classes.values()) if (share.work.requests > 0) return false;
    return true;
  }

  add(waiting: QueuedRequest): void {
    this.#classOf(waiting).share.add(waiting);
  }

  remove(waiting: QueuedRequest): void {
    const of = this.#classOf(waiting);
    of.share.remove(waiting);
    if (of.share.work.requests === 0) of.starvedSince = undefined;
  }

  next(now: Milliseconds): QueuedRequest | undefined {
    let next: PriorityClass | undefined;
    for (const candidate of this.#classes.values()) {
      if (candidate.share.work.requests === 0) continue;
      if (!next || this.#isMoreOverdue(candidate, next, now)) next = candidate;
    }
    return next?.share.next;
  }

  /** The next few of all classes, in the order of their grants, if none arrived and no class became overdue meanwhile. */
  inOrder(count: number, now: Milliseconds): readonly QueuedRequest[] {
    const first = this.next(now);
    if (first === undefined) return [];
    const order = [first];
    for (const { share } of this.#classes.values())
      for (const waiting of share.upcoming(count + 1 - order.length))
        if (waiting !== first) order.push(waiting);
    return order.slice(0, count);
  }

  /** The next few of its class, the first included. */
  upcoming(first: QueuedRequest, count: number): readonly QueuedRequest[] {
    return this.#classOf(first).share.upcoming(count);
  }

  grant(waiting: QueuedRequest, now: Milliseconds): Flow<QueuedRequest> | undefined {
    const granted = this.#classOf(waiting);
    granted.starvedSince = undefined;
    let isLower = false;
    for (const of of this.#classes.values()) {
      if (isLower && of.share.work.requests > 0) of.starvedSince ??= now;
      isLower ||= of === granted;
    }
    return granted.share.grant(waiting);
  }

  settle(granted: QueuedRequest, flow: Flow<QueuedRequest>, usedTokens: number): void {
    const { chargedTokens } = granted;
    this.#classOf(granted).share.settle(flow, { chargedTokens, usedTokens });
  }

  /** The waiting work that goes before it. While a higher class is served, its later arrivals go before it too, until it has aged. */
  ahead(waiting: QueuedRequest): WorkAhead {
    const { share, starvedSince } = this.#classOf(waiting);
    const own = share.ahead(waiting);
    const work = new WorkSum();
    for (const [priority, { share: higher }] of this.#classes) {
      if (priority === waiting.rank.priority) break;
      work.add(higher.work);
    }
    const isStarved = starvedSince !== undefined || work.requests > 0;
    const afterMs = (own.work.requests + 1) * this.#agingMs;
    work.add(own.work);
    return {
      work,
      canBeOvertaken: own.canBeOvertaken || isStarved,
      aged: isStarved ? { afterMs, work: own.work } : undefined,
    };
  }

  #isMoreOverdue(one: PriorityClass, other: PriorityClass, now: Milliseconds): boolean {
    if (one.starvedSince === undefined || now - one.starvedSince < this.#agingMs) return false;
    return one.starvedSince < (other.starvedSince ?? Number.POSITIVE_INFINITY);
  }

  #classOf({ rank }: QueuedRequest): PriorityClass {
    const of = this.#classes.get(rank.priority);
    if (!of) throw new Error(`no class for the priority ${rank.priority}`);
    return of;
  }
}
