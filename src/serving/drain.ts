/**
 * Shutting down without losing an answer. Steps: /ready says no while requests are still served; new ones are refused;
 * those under way finish; what the grace period leaves is cancelled. Owns the set of generations under way.
 */
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { LinkedList, type ListNode } from '../scheduling/linked-list.ts';

export interface ActiveRequest {
  readonly trace: RequestTrace;
  readonly cancellation: Cancellation;
}

interface Member extends ActiveRequest, ListNode<Member> {}

export interface DrainOptions {
  /** Requests are still served for so long. */
  readonly delayMs: Milliseconds;
  /** Then those under way may take so long to finish. */
  readonly graceMs: Milliseconds;
  /** Called when new requests begin to be refused. */
  readonly onRefusing?: () => void;
}

export class Drain {
  readonly #clock: Clock;
  /** In the order of their arrival. No Set, for the same reason as in the dispatcher. */
  readonly #underWay = new LinkedList<Member>();
  #phase: 'serving' | 'leaving' | 'refusing' = 'serving';
  #onIdle: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From the signal on: load balancers shall send nothing more. */
  get draining(): boolean {
    return this.#phase !== 'serving';
  }

  /** Arrival of the oldest generation under way. */
  get oldestReceivedAt(): Milliseconds | undefined {
    return this.#underWay.head?.trace.receivedAt;
  }

  /** Counts a generation in; throws `draining` once new ones are refused. The result counts it out. */
  enter(generation: ActiveRequest): () => void {
    if (this.#phase === 'refusing') {
      throw new ServingError('draining', {
        message:
          'The server is shutting down and takes no new requests. Retry: another instance will answer.',
        retryAfterSeconds: 1,
      });
    }
    const member: Member = {
      trace: generation.trace,
      cancellation: generation.cancellation,
      previous: undefined,
      next: undefined,
      list: undefined,
    };
    this.#underWay.append(member);
    return () => {
      this.#underWay.remove(member);
      if (this.#underWay.length === 0) this.#onIdle?.();
    };
  }

  /** Resolves when nothing is under way any more, at the latest soon after delay + grace. */
  async run({ delayMs, graceMs, onRefusing }: DrainOptions): Promise<void> {
    this.#phase = 'leaving';
    if (delayMs > 0) await new Promise<void>((resolve) => this.#clock.schedule(delayMs, resolve));
    this.#phase = 'refusing';
    onRefusing?.();
    await this.#idleWithin(graceMs);
    for (const cancellation of this.#cancellations()) {
      cancellation.cancel(
        new ServingError('draining', {
          message: 'The server shut down before the answer was finished.',
          retryAfterSeconds: 1,
        }),
      );
    }
    await this.#idleWithin(CANCELLED_END_WITHIN_MS);
  }

  /** A copy: those that end meanwhile leave the list. */
  #cancellations(): Cancellation[] {
    const cancellations: Cancellation[] = [];
    for (let member = this.#underWay.head; member; member = member.next)
      cancellations.push(member.cancellation);
    return cancellations;
  }

  async #idleWithin(limitMs: Milliseconds): Promise<void> {
    if (this.#underWay.length === 0) return;
    await new Promise<void>((resolve) => {
      let limit: Timer | undefined;
      this.#onIdle = () => {
        limit?.cancel();
        resolve();
      };
      limit = this.#clock.schedule(limitMs, resolve);
    });
    this.#onIdle = undefined;
  }
}

/** For error events to reach their clients. */
const CANCELLED_END_WITHIN_MS = 1000;
