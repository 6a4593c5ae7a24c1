/**
 * Who takes up how much of a model's queue, in requests and bytes. When it is full, the newest request of whoever takes
 * up most has to go: a flood displaces itself, never those beside it.
 */
import { Heap, type HeapNode, heapNode } from './heap.ts';
import { LinkedList, type ListNode } from './linked-list.ts';

/** What can take up a part of the queue. */
export interface ShareMember<Self extends ListNode<Self>> extends ListNode<Self> {
  readonly entry: { readonly client: string; readonly sizeBytes: number };
  /** Grows with each arrival. */
  readonly arrival: number;
  share: ClientShare<Self> | undefined;
}

export interface QueueBounds {
  readonly maxQueue: number;
  readonly maxQueuePerClient: number;
  readonly maxQueueBytes: number;
}

export class ClientShare<Member extends ListNode<Member>> {
  readonly client: string;
  /** In the order of their arrival. */
  readonly waiting = new LinkedList<Member>();
  readonly node: HeapNode<ClientShare<Member>> = heapNode(this);
  sizeBytes = 0;

  constructor(client: string) {
    this.client = client;
  }
}

export class QueueShares<Member extends ShareMember<Member>> {
  readonly #bounds: QueueBounds;
  readonly #clients = new Map<string, ClientShare<Member>>();
  /** The largest share first; of equal ones that with the newest request. */
  readonly #largest = new Heap<ClientShare<Member>>();
  #requests = 0;
  #sizeBytes = 0;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  get requests(): number {
    return this.#requests;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get clients(): number {
    return this.#clients.size;
  }

  get isOverfull(): boolean {
    return this.#requests > this.#bounds.maxQueue || this.#sizeBytes > this.#bounds.maxQueueBytes;
  }

  add(waiting: Member): void {
    const { client, sizeBytes } = waiting.entry;
    let share = this.#clients.get(client);
    if (!share) {
      share = new ClientShare<Member>(client);
      this.#clients.set(client, share);
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

  isOverOwnShare({ share }: Member): boolean {
    return share !== undefined && share.waiting.length > this.#bounds.maxQueuePerClient;
  }

  /** Who has to go when it is overfull. */
  get displaced(): Member | undefined {
    return this.#largest.first?.waiting.tail;
  }

  #count(share: ClientShare<Member>, requests: number, sizeBytes: number): void {
    this.#requests += requests;
    this.#sizeBytes += sizeBytes;
    share.sizeBytes += sizeBytes;
    const newest = share.waiting.tail;
    if (!newest) {
      this.#clients.delete(share.client);
      this.#largest.remove(share.node);
      return;
    }
    const { maxQueue, maxQueueBytes } = this.#bounds;
    const taken = Math.max(share.waiting.length / maxQueue, share.sizeBytes / maxQueueBytes);
    this.#largest.put(share.node, -taken, -newest.arrival);
  }
}
