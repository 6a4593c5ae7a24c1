/**
 * Faults that may be the request's own doing: a server that answers 500 to one prompt may answer all others. They count against their
 * target once another one has answered the same request, or where no other was asked. Pure: of what happened to requests.
 */
import type { FailureCause } from '../core/failure.ts';

/** Causes that a server has answered with. No request can cause a connection to be refused. */
const ANSWERED: ReadonlySet<FailureCause> = new Set(['server_error', 'misconfigured', 'garbage']);

export function mayBeOfRequest(cause: FailureCause): boolean {
  return ANSWERED.has(cause);
}

export class SuspectFaults<Fault> {
  /** By request. */
  readonly #held = new WeakMap<object, Fault[]>();

  hold(request: object, fault: Fault): void {
    const held = this.#held.get(request);
    if (held === undefined) this.#held.set(request, [fault]);
    else held.push(fault);
  }

  /** A target answers the request, so that it can be answered. Returns the faults that count. */
  answered(request: object): readonly Fault[] {
    const held = this.#held.get(request) ?? [];
    this.#held.delete(request);
    return held;
  }

  /** The request has failed, after so many targets were asked. Returns the faults that count: of several targets, nobody's. */
  failed(request: object, targetsAsked: number): readonly Fault[] {
    const held = this.answered(request);
    return targetsAsked === 1 ? held : [];
  }
}
