/**
 * Each client's share of a model's queue, in requests and bytes. When the queue is full, the lowest waiting class loses a request:
 * the newest of the client with the largest share. So a flood displaces itself, never requests beside or above it.
 */
import { PRIORITIES, type Priority } from '../core/priority.ts';
import { Heap, type HeapNode, heapNode } from './heap.ts';
import { LinkedList, type ListNode } from './linked-list.ts';

/** A request that counts for a share. */
export interface ShareMember<Self extends ListNode<Self>> extends ListNode<Self> {
  readonly entry: { readonly client: string; readonly sizeBytes: number };
  readonly rank: { readonly priority: Priority };
  /** Grows with each arrival. */
  readonly arrival: number;
  share: ClientShare<Self> | undefined;
}

interface QueueBounds {
  readonly maxQueue: number;
  readonly maxQueuePerClient: number;
  readonly maxQueueBytes: number;
}

/** The waiting requests of one client in one class. */
export class ClientShare<Member extends ListNode<Member>> {
  readonly client: string;
  readonly priority: Priority;
  /** In the order of their arrival. */
  readonly waiting = new LinkedList<Member>();
  readonly node: HeapNode<ClientShare<Member>> = heapNode(this);
  sizeBytes = 0;

  constructor(client: string, priority: Priority) {
    this.client = client;
    this.priority = priority;
  }
}

/** Larger than any share, so that the class counts before the share. */
const BETWEEN_CLASSES = 1_000_000;

export class QueueShares<Member extends ShareMember<Member>> {
  readonly #bounds: QueueBounds;
  readonly #shares = new Map<Priority, Map<string, ClientShare<Member>>>();
  /** The lowest class first, in it the largest share, of equal shares the one with the newest request. */
  readonly #largest = new Heap<ClientShare<Member>>();
  #requests = 0;
  #sizeBytes = 0;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
    for (const priority of PRIORITIES) this.#shares.set(priority, new Map());
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get isOverfull(): boolean {
    return this.#requests > this.#bounds.maxQueue || this.#sizeBytes > this.#bounds.maxQueueBytes;
  }

  add(waiting: Member): void {
    const { client, sizeBytes } = waiting.entry;
    const { priority } = waiting.rank;
    let share = this.#shares.get(priority)?.get(client);
    if (!share) {
      share = new ClientShare<Member>(client, priority);
      this.#shares.get(priority)?.set(client, share);
    }
    waiting.share = share;
    share.waiting.append(waiting);
    this.#count(share, 1, sizeBytes);
  }

  remove(waiting: Member): void {
    const { share } = waiting;
    if (!share) return;
    waiting.share = undefined;
    share.waiting.remove(waiting);
    this.#count(share, -1, -waiting.entry.sizeBytes);
  }

  isOverOwnShare({ share, entry }: Member): boolean {
    if (!share) return false;
    let waiting = 0;
    for (const shares of this.#shares.values()) waiting += shares.get(entry.client)?.waiting.length ?? 0;
    return waiting > this.#bounds.maxQueuePerClient;
  }

  /** The request that is rejected when the queue is overfull. */
  get displaced(): Member | undefined {
    return this.#largest.first?.waiting.tail;
  }

  #count(share: ClientShare<Member>, requests: number, sizeBytes: number): void {
    this.#requests += requests;
    this.#sizeBytes += sizeBytes;
    share.sizeBytes += sizeBytes;
    const newest = share.waiting.tail;
    if (!newest) {
      this.#shares.get(share.priority)?.delete(share.client);
      this.#largest.remove(share.node);
      return;
    }
    const { maxQueue, maxQueueBytes } = this.#bounds;
    const taken = Math.max(share.waiting.length / maxQueue, share.sizeBytes / maxQueueBytes);
    const rank = PRIORITIES.indexOf(share.priority) * BETWEEN_CLASSES;
    this.#largest.put(share.node, -(rank + taken), -newest.arrival);
  }
}
