/** One entry while it waits, with its nodes in the structures that hold it, so that it leaves all of them cheaply. */
import type { Milliseconds } from '../core/clock.ts';
import type { QueueEntry, TargetId } from './decision.ts';
import type { Flow, FlowMember } from './fair-share.ts';
import { type HeapNode, heapNode } from './heap.ts';
import type { ListNode } from './linked-list.ts';
import type { Rank } from './policies.ts';
import { NO_PREFIX, type PrefixFingerprint } from './prefix-fingerprint.ts';
import type { ClientShare, ShareMember } from './queue-shares.ts';

export class QueuedRequest implements FlowMember<QueuedRequest>, ShareMember<QueuedRequest> {
  readonly entry: QueueEntry;
  readonly rank: Rank;
  readonly enqueuedAt: Milliseconds;
  /** Grows with each arrival. */
  readonly arrival: number;
  readonly requests = 1;
  readonly promptTokens: number;
  readonly answerTokens: number;
  readonly chargedTokens: number;
  readonly prefix: PrefixFingerprint;
  /** How often a later request went first. */
  overtaken = 0;
  /** The target that its prompt goes to when all have room, and the version of the targets for which that holds. */
  home: TargetId | undefined = undefined;
  homeVersion = -1;
  /** The last moment at which its answer can still be started. */
  readonly startBy: Milliseconds;
  /** Its node among all that wait, by `startBy`. */
  readonly wake: HeapNode<QueuedRequest> = heapNode(this);
  /** Its node in its flow; set once it may leave. */
  readonly turn: HeapNode<QueuedRequest> = heapNode(this);
  flow: Flow<QueuedRequest> | undefined;
  /** Its predicted wait, uncorrected; only of a sample, to compare with the actual wait. */
  prediction: { readonly madeAt: Milliseconds; readonly waitMs: Milliseconds } | undefined;
  /** Its client's share of the queue, and its neighbours there. */
  share: ClientShare<QueuedRequest> | undefined;
  previous: QueuedRequest | undefined;
  next: QueuedRequest | undefined;
  list: ListNode<QueuedRequest>['list'];

  constructor(
    given: Pick<
      QueuedRequest,
      'entry' | 'rank' | 'enqueuedAt' | 'arrival' | 'answerTokens' | 'chargedTokens' | 'startBy'
    >,
  ) {
    this.entry = given.entry;
    this.rank = given.rank;
    this.enqueuedAt = given.enqueuedAt;
    this.arrival = given.arrival;
    this.promptTokens = given.entry.promptTokens;
    this.answerTokens = given.answerTokens;
    this.chargedTokens = given.chargedTokens;
    this.prefix = given.entry.prefix ?? NO_PREFIX;
    this.startBy = given.startBy;
  }
}
