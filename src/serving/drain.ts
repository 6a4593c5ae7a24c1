/**
 * Shutting down without losing an answer, in steps: /ready reports not ready while requests are still served; requests on new
 * connections are rejected; active ones finish; the grace period over, the rest is cancelled. Owns the list of active requests.
 *
 * A connection must not end before its client was told (`Connection: close`). The head of a long stream may have gone out before
 * the shutdown began: what its client asks next is served, however late that is, and for a moment it is waited for.
 */
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { RequestTrace } from '../core/request-trace.ts';
import { LinkedList, type ListNode } from '../scheduling/linked-list.ts';

/** Time for the error events to reach their clients. */
const CANCELLED_GRACE_MS = 1000;
/** For a client whose last answer did not say that its connection ends, to ask again. */
const LINGER_MS = 1000;

interface ActiveRequest {
  readonly trace: RequestTrace;
  readonly cancellation: Cancellation;
  /** What it came on; compared by identity. */
  readonly connection: object;
}

interface Member extends Omit<ActiveRequest, 'connection'>, ListNode<Member> {
  /** Made when somebody looks. */
  id: string | undefined;
}

export interface DrainOptions {
  /** For so long, requests are still served. 0: nobody has to notice, and no connection is waited for. */
  readonly delayMs: Milliseconds;
  /** Then for so long, active requests may finish. */
  readonly graceMs: Milliseconds;
  /** Absent: this process serves alone. */
  readonly others?: OtherProcesses | undefined;
}

/** They shut down together with this one, which goes on with the connections that it has until none has requests any more. */
export interface OtherProcesses {
  /** Whether this one has requests: when new ones are rejected, and with each change from then on. */
  report(isIdle: boolean): void;
  /** Resolves when none has requests any more, this one included. */
  readonly areIdle: Promise<void>;
}

export class Drain {
  readonly #clock: Clock;
  readonly #newId: () => string;
  /** In the order of arrival. Not a Set, for the same reason as in the dispatcher. */
  readonly #active = new LinkedList<Member>();
  /** Opened when new requests were rejected already. */
  readonly #lateConnections = new WeakSet<object>();
  #phase: 'serving' | 'leaving' | 'rejecting' = 'serving';
  #servesKept = false;
  #lingering = 0;
  #onIdle: (() => void) | undefined;
  /** Has been told that this process is idle, or not. */
  #others: { readonly report: (isIdle: boolean) => void; knowIdle: boolean; areIdle: boolean } | undefined;

  /** `newId`: names an active request for administrators; never the same again, also after a restart. */
  constructor(clock: Clock, newId: () => string = counted('act')) {
    this.#clock = clock;
    this.#newId = newId;
  }

  /** From the signal on: load balancers should send nothing more. */
  get draining(): boolean {
    return this.#phase !== 'serving';
  }

  /** Arrival of the oldest active request. */
  get oldestReceivedAt(): Milliseconds | undefined {
    return this.#active.head?.trace.receivedAt;
  }

  connectionOpened(connection: object): void {
    if (this.#phase === 'rejecting') this.#lateConnections.add(connection);
  }

  /**
   * Adds an active request; throws `draining` once new ones are rejected. The returned function removes it. `untold`: its client
   * takes the connection for kept, and may be about to ask on it; the answer to that says that it ends.
   */
  enter(request: ActiveRequest): (end: { readonly untold: boolean }) => void {
    if (this.#phase === 'rejecting' && !this.#isServed(request.connection)) {
      throw new ServingError('draining', {
        message:
          'The server is shutting down and accepts no new requests. Retry: another instance will answer.',
        retryAfterSeconds: 1,
      });
    }
    const member: Member = {
      trace: request.trace,
      cancellation: request.cancellation,
      id: undefined,
      previous: undefined,
      next: undefined,
      list: undefined,
    };
    this.#active.append(member);
    this.#tellOthers();
    return ({ untold }) => {
      this.#active.remove(member);
      if (untold && this.#servesKept) this.#linger();
      else this.#checkIdle();
    };
  }

  /** What administrators call each active request by. */
  ids(): ReadonlyMap<Cancellation, string> {
    const ids = new Map<Cancellation, string>();
    for (let member = this.#active.head; member; member = member.next) {
      member.id ??= this.#newId();
      ids.set(member.cancellation, member.id);
    }
    return ids;
  }

  /** Cancels one active request; its trace. Undefined: there is none of that id, or it is ending already. */
  cancel(id: string, reason: ServingError): RequestTrace | undefined {
    for (let member = this.#active.head; member; member = member.next) {
      if (member.id !== id || member.cancellation.reason !== undefined) continue;
      const { trace, cancellation } = member;
      cancellation.cancel(reason);
      return trace;
    }
    return undefined;
  }

  #linger(): void {
    this.#lingering += 1;
    this.#clock.schedule(LINGER_MS, () => {
      this.#lingering -= 1;
      this.#checkIdle();
    });
  }

  #isServed(connection: object): boolean {
    return this.#servesKept && !this.#lateConnections.has(connection);
  }

  /** Resolves when no request is active any more, at the latest soon after delay + grace. */
  async run({ delayMs, graceMs, others }: DrainOptions): Promise<void> {
    this.#phase = 'leaving';
    this.#servesKept = delayMs > 0;
    if (delayMs > 0) await new Promise<void>((resolve) => this.#clock.schedule(delayMs, resolve));
    this.#phase = 'rejecting';
    if (others !== undefined) this.#endTogether(others);
    await this.#idleWithin(graceMs);
    this.#others = undefined;
    this.#servesKept = false;
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

  get #isIdle(): boolean {
    return this.#active.length === 0 && this.#lingering === 0;
  }

  #checkIdle(): void {
    this.#tellOthers();
    if (this.#mayEnd) this.#onIdle?.();
  }

  get #mayEnd(): boolean {
    return this.#isIdle && this.#others?.areIdle !== false;
  }

  #endTogether({ report, areIdle }: OtherProcesses): void {
    const others = { report, knowIdle: false, areIdle: false };
    this.#others = others;
    void areIdle.then(() => {
      others.areIdle = true;
      this.#checkIdle();
    });
    this.#tellOthers();
  }

  #tellOthers(): void {
    if (this.#others === undefined || this.#others.knowIdle === this.#isIdle) return;
    this.#others.knowIdle = this.#isIdle;
    this.#others.report(this.#isIdle);
  }

  async #idleWithin(limitMs: Milliseconds): Promise<void> {
    if (this.#mayEnd) return;
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

function counted(prefix: string): () => string {
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}_${count}`;
  };
}
