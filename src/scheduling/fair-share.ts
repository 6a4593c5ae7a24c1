/**
 * Fair sharing, in tokens, between the flows of one class. Each flow has an account of the tokens it was charged; the flow with the
 * lowest account is served next, equal ones in turn. This is surplus deficit round-robin with a quantum close to zero: a flow may
 * overdraw its account by its last request, since the cost of an answer is known only at its end; the settlement then corrects the
 * account. So of flows that wait together, none gets a slot while it is ahead of another, and none gets ahead by more than one request.
 * Invariants: a flow that joins starts at what the first in line has really used, not at what it was charged in advance, or a refund
 * would leave the newcomer behind; accounts are kept as long as the class is backlogged.
 */
import { Heap, type HeapCursor, type HeapNode, heapNode } from './heap.ts';
import { LinkedList, type ListNode } from './linked-list.ts';
import { type ChargedWork, WorkSum } from './work.ts';

/** A request that waits in a flow. */
export interface FlowMember<Self> extends ChargedWork {
  readonly rank: { readonly flow: string; readonly dueAt: number };
  /** Grows with each arrival; the tie-break within a flow. */
  readonly arrival: number;
  /** Its node in its flow. */
  readonly turn: HeapNode<Self>;
  flow: Flow<Self> | undefined;
}

export class Flow<Member> implements ListNode<Flow<Member>> {
  readonly id: string;
  /** Tokens charged and not refunded, on the scale of all flows of the class. */
  account: number;
  /** Tokens charged for requests that hold a slot. */
  unsettledTokens = 0;
  /** No waiting member is due later; `last` is the member behind all others, while it is known. */
  latestDueAt = 0;
  last: Member | undefined;
  readonly waiting = new Heap<Member>();
  readonly work = new WorkSum();
  /** Its node among the backlogged flows: by account, then by turn. */
  readonly node: HeapNode<Flow<Member>> = heapNode(this);
  previous: Flow<Member> | undefined;
  next: Flow<Member> | undefined;
  list: ListNode<Flow<Member>>['list'];

  constructor(id: string, account: number) {
    this.id = id;
    this.account = account;
  }
}

/** A flow in the lookahead: how many of its requests would have been taken, and its account then. */
interface Line<Member> {
  readonly flow: Flow<Member>;
  readonly account: number;
  readonly taken: number;
  /** At those that are left; undefined before the first. */
  readonly left: HeapCursor<Member> | undefined;
}

/** Flows that are swept when one comes to rest: more than the one that is added, so the sweep catches up. */
const SWEPT_PER_REST = 2;
/** At most so many flows, and requests of a flow, are looked at to add up the work ahead; of more, an even sample. */
const SAMPLE = 128;

export class FairShare<Member extends FlowMember<Member>> {
  readonly #flows = new Map<string, Flow<Member>>();
  readonly #backlogged = new Heap<Flow<Member>>();
  /** Flows with an account and nothing waiting. */
  #resting = new LinkedList<Flow<Member>>();
  readonly work = new WorkSum();
  #turns = 0;

  /** Accounts that are kept. */
  get accounts(): number {
    return this.#flows.size;
  }

  get next(): Member | undefined {
    return this.#backlogged.first?.waiting.first;
  }

  /** The next requests in the order of their grants, if none arrived and none were settled meanwhile. */
  upcoming(count: number): readonly Member[] {
    const first = this.#backlogged.first;
    if (first && this.#backlogged.size === 1) return first.waiting.firstFew(count);
    // In the order of accounts, equal ones in turn; a flow that was served goes behind its equals.
    const lines: Line<Member>[] = [];
    for (const flow of this.#backlogged.firstFew(count))
      lines.push({ flow, account: flow.account, taken: 0, left: undefined });
    const upcoming: Member[] = [];
    for (let index = 0; index < lines.length && upcoming.length < count; index += 1) {
      const { flow, account, taken, left = flow.waiting.cursor() } = lines[index] as Line<Member>;
      const { waiting } = flow;
      const member = left.next();
      if (!member) continue;
      upcoming.push(member);
      const accountThen = account + member.chargedTokens;
      let place = lines.length;
      while (place > index + 1 && (lines[place - 1]?.account ?? 0) > accountThen) place -= 1;
      const isNeeded = place - index <= count - upcoming.length && waiting.size > taken + 1;
      if (isNeeded) lines.splice(place, 0, { flow, account: accountThen, taken: taken + 1, left });
    }
    return upcoming;
  }

  add(waiting: Member): void {
    const flow = this.#flow(waiting.rank.flow);
    if (flow.waiting.size === 0) {
      this.#resting.remove(flow);
      flow.account = Math.max(flow.account, this.#level);
      this.#backlogged.put(flow.node, flow.account, ++this.#turns);
    }
    waiting.flow = flow;
    const { dueAt } = waiting.rank;
    if (flow.waiting.size === 0 || dueAt >= flow.latestDueAt) {
      flow.latestDueAt = dueAt;
      flow.last = waiting;
    }
    flow.waiting.put(waiting.turn, dueAt, waiting.arrival);
    flow.work.add(waiting);
    this.work.add(waiting);
  }

  /** Takes it out without a grant: it was cancelled or rejected. */
  remove(waiting: Member): void {
    const { flow } = waiting;
    if (!flow) return;
    waiting.flow = undefined;
    if (flow.last === waiting) flow.last = undefined;
    flow.waiting.remove(waiting.turn);
    flow.work.add(waiting, -1);
    this.work.add(waiting, -1);
    if (flow.waiting.size === 0) this.#rest(flow);
  }

  /** Takes it out and charges its flow, which is returned for the settlement. */
  grant(waiting: Member): Flow<Member> | undefined {
    const { flow } = waiting;
    if (!flow) return undefined;
    flow.account += waiting.chargedTokens;
    flow.unsettledTokens += waiting.chargedTokens;
    this.remove(waiting);
    if (flow.waiting.size > 0) this.#backlogged.put(flow.node, flow.account, ++this.#turns);
    return flow;
  }

  /** Corrects the account to what was really used. */
  settle(
    flow: Flow<Member>,
    { chargedTokens, usedTokens }: { chargedTokens: number; usedTokens: number },
  ): void {
    flow.account += usedTokens - chargedTokens;
    flow.unsettledTokens -= chargedTokens;
    if (flow.waiting.size > 0) this.#backlogged.put(flow.node, flow.account, flow.node.order);
  }

  /**
   * The work that goes before it: its own flow's earlier requests, and what the other flows get until its account is the lowest. These
   * grow meanwhile: as much is assumed to arrive as leaves, and more where more waits. A request that is not among the first can be
   * overtaken by flows that have not arrived yet.
   */
  ahead(waiting: Member): { readonly work: WorkSum; readonly canBeOvertaken: boolean } {
    const own = waiting.flow;
    if (!own) return { work: new WorkSum(), canBeOvertaken: false };
    const work = this.#earlierInFlow(own, waiting);
    const reached = own.account + work.chargedTokens;
    const leavingTokens = work.chargedTokens + this.#othersBefore(own, reached, 0).chargedTokens;
    const arrivingTokens = leavingTokens / (this.work.requests + this.#flows.size);
    work.add(this.#othersBefore(own, reached, arrivingTokens));
    const first = this.#backlogged.first?.account ?? 0;
    const halfARequest = this.work.chargedTokens / this.work.requests / 2;
    return { work, canBeOvertaken: reached - first > halfARequest };
  }

  #earlierInFlow(flow: Flow<Member>, waiting: Member): WorkSum {
    const sum = new WorkSum();
    if (flow.last === waiting) {
      sum.add(flow.work);
      sum.add(waiting, -1);
    } else if (flow.waiting.size <= SAMPLE) {
      flow.waiting.forEachBefore(waiting.turn, (earlier) => sum.add(earlier));
    } else sum.add(flow.work, flow.waiting.shareBefore(waiting.turn, SAMPLE));
    return sum;
  }

  /** What the other flows get before the own account has `reached` that value, if so many tokens arrive in each, and for each of its requests. */
  #othersBefore(own: Flow<Member>, reached: number, arrivingTokens: number): WorkSum {
    const sum = new WorkSum();
    const flows = this.#backlogged.nodes;
    const stride = Math.max(1, Math.ceil(flows.length / SAMPLE));
    for (let index = 0; index < flows.length; index += stride) {
      const flow = flows[index]?.value;
      if (!flow || flow === own) continue;
      const { chargedTokens: tokens, requests } = flow.work;
      const isNext = flow.account < reached || (flow.account === reached && flow.node.order < own.node.order);
      const room = Math.max(isNext ? tokens / requests : 0, reached - flow.account);
      const gets = Math.min(room, tokens + arrivingTokens * (requests + 1));
      sum.add(flow.work, (stride * gets) / Math.max(1, tokens));
    }
    return sum;
  }

  /** The account of a flow that joins: what the first in line has really used so far. */
  get #level(): number {
    const first = this.#backlogged.first;
    return first === undefined ? 0 : first.account - first.unsettledTokens;
  }

  #flow(id: string): Flow<Member> {
    let flow = this.#flows.get(id);
    if (!flow) {
      flow = new Flow<Member>(id, this.#level);
      this.#flows.set(id, flow);
    }
    return flow;
  }

  #rest(flow: Flow<Member>): void {
    this.#backlogged.remove(flow.node);
    if (this.#backlogged.size === 0) {
      // What still runs is settled on accounts that are not used any more.
      this.#flows.clear();
      this.#resting = new LinkedList();
      return;
    }
    this.#resting.append(flow);
    for (let swept = 0; swept < SWEPT_PER_REST; swept += 1) this.#sweepOne();
  }

  /** Drops an account that the others have caught up with: if the flow comes back, it starts at their level anyway. */
  #sweepOne(): void {
    const flow = this.#resting.takeHead();
    if (!flow) return;
    if (flow.unsettledTokens === 0 && flow.account <= this.#level) this.#flows.delete(flow.id);
    else this.#resting.append(flow);
  }
}
