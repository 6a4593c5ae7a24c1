/**
 * Deficit round-robin between the flows of one class, measured in tokens. Each flow has an account of what it was
 * charged; rounds are a quantum wide, a flow is in the round that its account has reached, and the earliest round is
 * served first, in turn. A flow may overdraw its account by its last request, because what an answer costs is only
 * known at its end ("surplus" round-robin); the settlement then corrects the account, and with it the flow's round.
 * So at each grant the account of the flow that gets it is less than a quantum ahead of any other that waits, and
 * after it less than a quantum and that one request.
 * Invariant: an account lives as long as the class is backlogged; when nobody waits all are even.
 */
import { Heap, type HeapNode, heapNode } from './heap.ts';
import { LinkedList, type ListNode } from './linked-list.ts';
import { type Work, WorkSum } from './work.ts';

/** What can wait in a flow. */
export interface FlowMember<Self> extends Work {
  readonly standing: { readonly flow: string; readonly dueAt: number };
  /** Grows with each arrival; the tie-break within a flow. */
  readonly arrival: number;
  /** What it is charged before it is settled. */
  readonly tokens: number;
  /** Its place in its flow. */
  readonly turn: HeapNode<Self>;
  flow: Flow<Self> | undefined;
}

export class Flow<Member> implements ListNode<Flow<Member>> {
  readonly id: string;
  /** Tokens charged and not refunded, counted from where the class stood when the flow joined. */
  account: number;
  /** Requests that hold a slot and are not settled yet. */
  unsettled = 0;
  /** No member that waits is due later; `last` is the one behind all others, while it is known. */
  latestDueAt = 0;
  last: Member | undefined;
  readonly waiting = new Heap<Member>();
  readonly work = new WorkSum();
  /** Its place among the flows that have something waiting: by round, then by turn. */
  readonly node: HeapNode<Flow<Member>> = heapNode(this);
  previous: Flow<Member> | undefined;
  next: Flow<Member> | undefined;
  list: ListNode<Flow<Member>>['list'];

  constructor(id: string, account: number) {
    this.id = id;
    this.account = account;
  }
}

/** Flows without anything waiting that are looked at per grant: more than one is added, so the sweep catches up. */
const SWEPT_PER_GRANT = 2;
/** So many flows are looked at to tell how much goes before a request; of more, an even sample. */
const FLOWS_SAMPLED = 128;

export class FairShare<Member extends FlowMember<Member>> {
  readonly #quantumTokens: number;
  readonly #flows = new Map<string, Flow<Member>>();
  readonly #backlogged = new Heap<Flow<Member>>();
  /** Flows that only have an account left. */
  #resting = new LinkedList<Flow<Member>>();
  readonly work = new WorkSum();
  /** Where the round begins that is being served: newcomers start here. */
  #floor = 0;
  #turns = 0;

  constructor(quantumTokens: number) {
    this.#quantumTokens = quantumTokens;
  }

  get next(): Member | undefined {
    return this.#backlogged.first?.waiting.first;
  }

  add(waiting: Member): void {
    const flow = this.#flow(waiting.standing.flow);
    if (flow.waiting.size === 0) {
      this.#resting.remove(flow);
      flow.account = Math.max(flow.account, this.#floor);
      this.#backlogged.put(flow.node, this.#round(flow), ++this.#turns);
    }
    waiting.flow = flow;
    const { dueAt } = waiting.standing;
    if (flow.waiting.size === 0 || dueAt >= flow.latestDueAt) {
      flow.latestDueAt = dueAt;
      flow.last = waiting;
    }
    flow.waiting.put(waiting.turn, dueAt, waiting.arrival);
    flow.work.add(waiting);
    this.work.add(waiting);
  }

  /** Without a grant: it was cancelled or refused. */
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
    this.#floor = Math.max(this.#floor, this.#round(flow) * this.#quantumTokens);
    flow.account += waiting.tokens;
    flow.unsettled += 1;
    this.#sweep();
    this.remove(waiting);
    if (flow.waiting.size > 0) this.#backlogged.put(flow.node, this.#round(flow), ++this.#turns);
    return flow;
  }

  /** `correctionTokens`: really used beyond what was charged; negative for a refund. */
  settle(flow: Flow<Member>, correctionTokens: number): void {
    flow.account += correctionTokens;
    flow.unsettled -= 1;
    if (flow.waiting.size > 0) this.#backlogged.put(flow.node, this.#round(flow), flow.node.order);
  }

  /**
   * What goes before it: its own flow's earlier requests, and what the other flows get until its account has come so far.
   * They grow meanwhile: as much is taken to arrive as leaves, and where more waits more arrives. In a later round
   * than the present one it can be overtaken by flows that are not here yet.
   */
  ahead(waiting: Member): { readonly work: WorkSum; readonly canBeOvertaken: boolean } {
    const own = waiting.flow;
    if (!own) return { work: new WorkSum(), canBeOvertaken: false };
    const work = this.#earlierInFlow(own, waiting);
    const reached = own.account + work.tokens;
    const leavingTokens = work.tokens + this.#othersBefore(own, reached, 0).tokens;
    const arrivingTokens = leavingTokens / (this.work.requests + this.#flows.size);
    work.add(this.#othersBefore(own, reached, arrivingTokens));
    return {
      work,
      canBeOvertaken: Math.floor(reached / this.#quantumTokens) * this.#quantumTokens > this.#floor,
    };
  }

  #earlierInFlow(flow: Flow<Member>, waiting: Member): WorkSum {
    const sum = new WorkSum();
    if (flow.last === waiting) {
      sum.add(flow.work);
      sum.add(waiting, -1);
    } else flow.waiting.forEachBefore(waiting.turn, (earlier) => sum.add(earlier));
    return sum;
  }

  /** What the other flows get before one has `reached` that account, when so many tokens arrive in each, and for each request in it. */
  #othersBefore(own: Flow<Member>, reached: number, arrivingTokens: number): WorkSum {
    const sum = new WorkSum();
    const round = Math.floor(reached / this.#quantumTokens);
    const flows = this.#backlogged.nodes;
    const stride = Math.max(1, Math.ceil(flows.length / FLOWS_SAMPLED));
    for (let index = 0; index < flows.length; index += stride) {
      const flow = flows[index]?.value;
      if (!flow || flow === own) continue;
      const { tokens, requests } = flow.work;
      const isNext = flow.node.key < round || (flow.node.key === round && flow.node.order < own.node.order);
      const room = Math.max(isNext ? tokens / requests : 0, reached - flow.account);
      const gets = Math.min(room, tokens + arrivingTokens * (requests + 1));
      sum.add(flow.work, (stride * gets) / Math.max(1, tokens));
    }
    return sum;
  }

  #flow(id: string): Flow<Member> {
    let flow = this.#flows.get(id);
    if (!flow) {
      flow = new Flow<Member>(id, this.#floor);
      this.#flows.set(id, flow);
    }
    return flow;
  }

  #round(flow: Flow<Member>): number {
    return Math.floor(flow.account / this.#quantumTokens);
  }

  #rest(flow: Flow<Member>): void {
    this.#backlogged.remove(flow.node);
    if (this.#backlogged.size > 0) {
      this.#resting.append(flow);
      return;
    }
    // Settlements of what still runs go to accounts that nobody looks at any more.
    this.#flows.clear();
    this.#resting = new LinkedList();
    this.#floor = 0;
  }

  /** Forgets accounts that others have caught up with: who comes back then starts at the floor anyway. */
  #sweep(): void {
    for (let swept = 0; swept < SWEPT_PER_GRANT; swept += 1) {
      const flow = this.#resting.takeHead();
      if (!flow) return;
      if (flow.unsettled === 0 && flow.account <= this.#floor) this.#flows.delete(flow.id);
      else this.#resting.append(flow);
    }
  }
}
