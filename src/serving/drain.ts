/**
 * Shutting down without losing an answer, in steps: /ready reports not ready while requests are still served; new requests are
 * rejected; active ones finish; the grace period over, the rest is cancelled. Owns the list of active requests.
 */
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { LinkedList, type ListNode } from '../scheduling/linked-list.ts';

/** Time for the error events to reach their clients. */
const CANCELLED_GRACE_MS = 1000;

interface ActiveRequest {
  readonly trace: RequestTrace;
  readonly cancellation: Cancellation;
}

interface Member extends ActiveRequest, ListNode<Member> {}

interface DrainOptions {
  /** For so long, requests are still served. */
  readonly delayMs: Milliseconds;
  /** Then for so long, active requests may finish. */
  readonly graceMs: Milliseconds;
  /** Called when new requests begin to be rejected. */
  readonly onRejecting?: () => void;
}

export class Drain {
  readonly #clock: Clock;
  /** In the order of arrival. Not a Set, for the same reason as in the dispatcher. */
  readonly #active = new LinkedList<Member>();
  #phase: 'serving' | 'leaving' | 'rejecting' = 'serving';
  #onIdle: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From the signal on: load balancers should send nothing more. */
  get draining(): boolean {
    return this.#phase !== 'serving';
  }

  /** Arrival of the oldest active request. */
  get oldestReceivedAt(): Milliseconds | undefined {
    return this.#active.head?.trace.receivedAt;
  }

  /** Adds an active request; throws `draining` once new ones are rejected. The returned function removes it. */
  enter(request: ActiveRequest): () => void {
    if (this.#phase === 'rejecting') {
      throw new ServingError('draining', {
        message:
          'The server is shutting down and accepts no new requests. Retry: another instance will answer.',
        retryAfterSeconds: 1,
      });
    }
    const member: Member = {
      trace: request.trace,
      cancellation: request.cancellation,
      previous: undefined,
      next: undefined,
      list: undefined,
    };
    this.#active.append(member);
    return () => {
      this.#active.remove(member);
      if (this.#active.length === 0) this.#onIdle?.();
    };
  }

  /** Resolves when no request is active any more, at the latest soon after delay + grace. */
  async run({ delayMs, graceMs, onRejecting }: DrainOptions): Promise<void> {
    this.#phase = 'leaving';
    if (delayMs > 0) await new Promise<void>((resolve) => this.#clock.schedule(delayMs, resolve));
    this.#phase = 'rejecting';
    onRejecting?.();
    await this.#idleWithin(graceMs);
    for (const cancellation of this.#cancellations()) {
      cancellation.cancel(
        new ServingError('draining', {
          message: 'The server shut down before the answer was finished.',
          retryAfterSeconds: 1,
        }),
      );
    }
    await this.#idleWithin(CANCELLED_GRACE_MS);
  }

  /** A copy: requests that end meanwhile leave the list. */
  #cancellations(): Cancellation[] {
    const cancellations: Cancellation[] = [];
    for (let member = this.#active.head; member; member = member.next)
      cancellations.push(member.cancellation);
    return cancellations;
  }

  async #idleWithin(limitMs: Milliseconds): Promise<void> {
    if (this.#active.length === 0) return;
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
